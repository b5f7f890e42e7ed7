"""Other systems, run with the same weights for a comparison.

transcribers   recordings through faster-whisper
serving        starts another streaming server in its own environment
wires          the protocols of those servers, without I/O
load           streams over them -> traces
"""
