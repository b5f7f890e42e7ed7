"""Audio in any form -> mono float32 samples ``(n,)`` in [-1, 1] at 16 kHz. No other room knows other forms.

files        recordings: any file that libsndfile or FFmpeg reads, block by block
streams      live bytes: `ENCODINGS` lists the encodings, `StreamDecoder` decodes them
containers   demuxers of streams: Ogg, WebM, WAV
opus_decoder, pcm, resample   the steps: packets -> samples, sample formats -> mono float32, any rate -> 16 kHz
"""
