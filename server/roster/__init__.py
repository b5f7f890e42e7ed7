"""Which release serves a stream.

roster      name -> {champion, canary, shadow} -> scheduler; a stream takes a seat in one of them and keeps it
"""
