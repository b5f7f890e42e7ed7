"""Opus packets -> samples, by libopus."""

import av
import numpy as np

from asr.audio.containers.opus import OPUS_RATE_HZ, OpusHead, OpusPacket
from asr.audio.pcm import AudioForm, frame_form, frame_samples
from asr.errors import AudioError


class OpusDecoder:
    """Packets of one stream -> frames at 48 kHz, by libopus (through PyAV), the format's reference decoder.

    FFmpeg's own Opus decoder resamples within packets, which changes the length of some of them.
    """

    def __init__(self, head: OpusHead) -> None:
        self._context = av.CodecContext.create("libopus", "r")
        self._channels = head.channels
        self._context.extradata = head.data  # the decoder applies pre-skip, gain and channel mapping
        self._context.options = {"request_sample_fmt": "flt"}

    def decode(self, packet: OpusPacket) -> tuple[AudioForm, np.ndarray]:
        """The packet's frames ``(n, channels)``, trimmed. Raises `AudioError` if the packet is not Opus."""
        try:
            decoded = self._context.decode(av.Packet(packet.data))
        except av.error.FFmpegError as error:
            raise AudioError(f"found a packet of {len(packet.data)} bytes that is not Opus; wanted Opus") from error
        parts = [frame_samples(frame) for frame in decoded]
        if not parts:
            return AudioForm(OPUS_RATE_HZ), np.zeros((0, self._channels), np.float32)
        frames = np.concatenate(parts)
        return frame_form(decoded[0]), frames[: max(0, len(frames) - packet.trim_samples)]
