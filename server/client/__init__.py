"""A client of Deepgram's live protocol, for any server that speaks it. `asr stream`, the evaluation and tests use it.

protocol   addresses, audio as bytes, messages as events; without I/O
stream     runs it over a WebSocket
sources    files, standard input, the microphone
display    words on a terminal
"""
