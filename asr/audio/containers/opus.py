"""Opus headers and packets, the same in every container (RFC 6716, RFC 7845)."""

import struct
from dataclasses import dataclass

from asr.errors import AudioError

OPUS_RATE_HZ = 48_000
"""Opus counts time at this rate, whatever the source's, and we decode at it."""
MAX_PACKET_BYTES = 1 << 17
"""Twice what eight channels can need: 1275 bytes per frame, six frames per packet (RFC 7845 section 6)."""
_MAX_CHANNELS = 8


@dataclass(frozen=True, slots=True)
class OpusHead:
    """The identification header (RFC 7845 section 5.1). FFmpeg's decoder takes `data` as its extra data."""

    data: bytes
    channels: int


@dataclass(frozen=True, slots=True)
class OpusPacket:
    """One compressed packet. Drop `trim_samples` (at 48 kHz) from the end of its decoded samples."""

    data: bytes
    trim_samples: int = 0


Unit = OpusHead | OpusPacket


def parse_head(data: bytes) -> OpusHead:
    """Checks an identification header. Raises `AudioError` for one that no decoder can use."""
    if len(data) < 19 or data[:8] != b"OpusHead" or data[8] > 15:
        raise AudioError(f"found {data[:12]!r} as the Opus header; wanted 'OpusHead', version 0 or 1, 19 bytes or more")
    if not 1 <= data[9] <= _MAX_CHANNELS:
        raise AudioError(f"found Opus with {data[9]} channels; wanted 1 to {_MAX_CHANNELS}")
    return OpusHead(data, data[9])


def make_head(channels: int) -> OpusHead:
    """A header for a mono or stereo stream that has none: nothing to skip, no gain."""
    return OpusHead(struct.pack("<8sBBHIhB", b"OpusHead", 1, channels, 0, OPUS_RATE_HZ, 0, 0), channels)


def packet_samples(packet: bytes) -> int:
    """The number of samples at 48 kHz in a packet, from its first bytes (RFC 6716 section 3.1)."""
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
    """Raises `AudioError` for a size beyond that of any Opus packet."""
    if size > MAX_PACKET_BYTES:
        raise AudioError(f"found an audio packet of {size} bytes or more; wanted at most {MAX_PACKET_BYTES}")
