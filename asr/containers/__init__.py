"""Streams of Opus as a browser's MediaRecorder makes them: container bytes in, Opus packets out.

Pure state: feed ``receive`` with bytes cut anywhere, take the heads and packets it returns. Each `OpusHead` begins a
new stream (recordings may be chained), each `OpusPacket` is one input for an Opus decoder. A length claimed by the data
is checked before anything is kept, so a demuxer never holds more than a few MiB beyond the bytes of one call.
"""

from asr.containers.ogg import OggDemuxer
from asr.containers.opus import OpusHead, OpusPacket, Unit
from asr.containers.webm import WebmDemuxer

__all__ = ["OggDemuxer", "OpusHead", "OpusPacket", "Unit", "WebmDemuxer"]
