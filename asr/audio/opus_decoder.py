"""Opus packets -> samples, by libopus."""

import av
import numpy as np

from asr.audio.containers.opus import OpusHead, OpusPacket
from asr.audio.pcm import frame_samples, mix_down
from asr.errors import AudioError


class OpusDecoder:
    """Packets of one stream -> mono at 48 kHz, by libopus (through PyAV), the format's reference decoder.

    FFmpeg's own Opus decoder resamples within packets, which changes the length of some of them.
    """

    def __init__(self, head: OpusHead) -> None:
        self._context = av.CodecContext.create("libopus", "r")
        self._context.extradata = head.data  # the decoder applies pre-skip, gain and channel mapping
        self._context.options = {"request_sample_fmt": "flt"}

    def decode(self, packet: OpusPacket) -> np.ndarray:
        """The packet's mono samples ``(n,)``, trimmed. Raises `AudioError` if the packet is not Opus."""
        try:
            frames = self._context.decode(av.Packet(packet.data))
        except av.error.FFmpegError as error:
            raise AudioError(f"found a packet of {len(packet.data)} bytes that is not Opus; wanted Opus") from error
        parts = [mix_down(frame_samples(frame)) for frame in frames]
        mono = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        return mono[: max(0, len(mono) - packet.trim_samples)]
