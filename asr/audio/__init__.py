"""Audio in any form -> mono float32 samples ``(n,)`` in [-1, 1] at 16 kHz. No other room knows other forms.

files        recordings: any file that libsndfile or FFmpeg reads, block by block
streams      live bytes: `ENCODINGS` lists the encodings, `StreamDecoder` decodes them
containers   demuxers of streams: Ogg, WebM, WAV, fragmented MP4
compressed   streams that FFmpeg parses and decodes: FLAC, MP3, fragmented MP4
tracks       containers that FFmpeg reads: the choice of a track, and its frames at the container's times
opus_decoder, pcm, downmix, resample   the steps: packets -> samples, sample formats -> float32, channels -> mono,
             any rate -> 16 kHz
"""
