"""Containers live: Opus as a browser's MediaRecorder packs it (bytes in, packets out), and WAV (bytes in, samples out).

Pure state: feed ``receive`` with bytes cut anywhere, take what it returns. Each `OpusHead` begins a new stream
(recordings may be chained), each `OpusPacket` is one input for an Opus decoder. A length claimed by the data is checked
before anything is kept, so a demuxer never holds more than a few MiB beyond the bytes of one call.
"""

from asr.audio.containers.ogg import OggDemuxer
from asr.audio.containers.opus import OpusHead, OpusPacket, Unit
from asr.audio.containers.wav import WavDemuxer
from asr.audio.containers.webm import WebmDemuxer

__all__ = ["OggDemuxer", "OpusHead", "OpusPacket", "Unit", "WavDemuxer", "WebmDemuxer"]
