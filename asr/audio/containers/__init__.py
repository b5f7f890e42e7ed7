"""Demuxers for live streams: Ogg and WebM (bytes in, Opus packets out), WAV (bytes in, sample bytes out) and fragmented
MP4 (bytes in, a small file for each fragment out).

Pass bytes, split anywhere, to `receive` and use what it returns. Each `OpusHead` starts a new stream (recordings may be
chained); each `OpusPacket` is one input of an Opus decoder. Every length that the data claims is checked before bytes
are buffered for it, so a demuxer never holds more than a few MiB beyond the bytes of one call.
"""

from asr.audio.containers.ogg import OggDemuxer
from asr.audio.containers.opus import OpusHead, OpusPacket, Unit
from asr.audio.containers.wav import WavDemuxer
from asr.audio.containers.webm import WebmDemuxer

__all__ = ["OggDemuxer", "OpusHead", "OpusPacket", "Unit", "WavDemuxer", "WebmDemuxer"]
