"""One stream of speech, from samples to words that never change.

session     the stream: takes audio, asks for model calls, emits events
commit      decides when a word is final; everything that decides it is there
schedule    what has to be decoded and emitted, in the order of audio time
utterance   the state of the utterance that is being spoken
buffers     samples and speech probabilities that a session keeps
vad         voice activity and endpoints
"""
