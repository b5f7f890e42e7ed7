"""What an Opus decoder is fed with, whatever container it came in (RFC 6716, RFC 7845)."""

import struct
from dataclasses import dataclass

from asr.errors import AudioError

OPUS_RATE_HZ = 48_000
"""Opus always counts, and we always decode, at this rate."""
MAX_PACKET_BYTES = 1 << 17
"""Twice what eight channels can need: each is at most 1275 bytes a frame, six frames a packet (RFC 7845 section 6)."""
_MAX_CHANNELS = 8


@dataclass(frozen=True, slots=True)
class OpusHead:
    """The identification header (RFC 7845 section 5.1) as it came; a decoder takes ``data`` as its extra data."""

    data: bytes
    channels: int


@dataclass(frozen=True, slots=True)
class OpusPacket:
    """One coded packet; ``trim_samples`` at 48 kHz are to be dropped from the end of what it decodes to."""

    data: bytes
    trim_samples: int = 0


Unit = OpusHead | OpusPacket


def parse_head(data: bytes) -> OpusHead:
    """An identification header, checked; `AudioError` for one that no decoder can use."""
    if len(data) < 19 or data[:8] != b"OpusHead" or data[8] > 15:
        raise AudioError(f"found {data[:12]!r} as the Opus header; wanted 'OpusHead', version 0 or 1, 19 bytes or more")
    if not 1 <= data[9] <= _MAX_CHANNELS:
        raise AudioError(f"found Opus with {data[9]} channels; wanted 1 to {_MAX_CHANNELS}")
    return OpusHead(data, data[9])


def make_head(channels: int) -> OpusHead:
    """The header of a mono or stereo stream that came without one: nothing to skip, no gain."""
    return OpusHead(struct.pack("<8sBBHIhB", b"OpusHead", 1, channels, 0, OPUS_RATE_HZ, 0, 0), channels)


def packet_samples(packet: bytes) -> int:
    """How many samples at 48 kHz a packet decodes to, from its first bytes (RFC 6716 section 3.1)."""
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:  # SILK: 10, 20, 40, 60 ms
        frame = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:  # hybrid: 10, 20 ms
        frame = (480, 960)[config & 1]
    else:  # CELT: 2.5, 5, 10, 20 ms
        frame = 120 << (config & 3)
    if code < 3:
        return frame * (1 if code == 0 else 2)
    return frame * (packet[1] & 63) if len(packet) > 1 else 0


def check_packet_size(size: int) -> None:
    """`AudioError` for more bytes than any Opus packet has."""
    if size > MAX_PACKET_BYTES:
        raise AudioError(f"found an audio packet of {size} bytes or more; wanted at most {MAX_PACKET_BYTES}")
