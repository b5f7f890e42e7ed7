"""The gain at which voice activity listens to quiet audio. The model gets the audio as it is.

Silero was trained on ordinary levels. 40 dB below them it finds the first word half a second late, 60 dB below nothing
(docs/log/decoding.md#quiet-speech). So each frame is amplified before it is scored. The gain depends on this frame and
the frames before it alone, so it does not depend on how the audio was cut into chunks.
"""

import numpy as np

from asr.config import SAMPLE_RATE_HZ

FULL_DB = -35.0
"""RMS of a frame, in dB of full scale. Audio with sustained frames above this level is not amplified."""
MOST_DB = 45.0
"""The largest gain. It is enough for speech that is 60 dB too quiet, and lifts the rounding of 16 bits to -56 dB."""
FALL_DB_PER_S = 6.0
"""How fast the level falls. Ordinary speech is some 20 dB above `FULL_DB`, so its pauses stay as they are for 3 s."""
SUSTAINED_FRAMES = 3
"""A level counts when this many frames in a row reach it (96 ms): a click does not hide the quiet word after it."""
_FRAME_SAMPLES = 512
_SILENCE_DB = -120.0


class Level:
    """The level of one stream: that of its loudest sustained sound, falling by `FALL_DB_PER_S`. At first, silence."""

    def __init__(self, most_db: float = MOST_DB) -> None:
        self._most_db = most_db
        self._level_db = _SILENCE_DB
        self._last_db = [_SILENCE_DB] * (SUSTAINED_FRAMES - 1)

    def amplified(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The next frames ``(n, width)`` -> amplified around their means ``(n, width)``, and which of them ``(n,)``.

        Around the mean, because the gain would turn a microphone's small offset into a large one. All samples of a
        frame have the same gain, and it lifts no frame above `FULL_DB`, even if the audio before was silent. Advances
        the level.
        """
        means = frames.mean(axis=1, keepdims=True)
        power = np.square(frames - means).mean(axis=1, dtype=np.float64)
        gains_db = self._gains_db(10 * np.log10(np.maximum(power, 10 ** (_SILENCE_DB / 10))))
        extra = (10 ** (gains_db / 20) - 1).astype(np.float32)[:, None]
        return frames + extra * (frames - means), gains_db > 0

    def _gains_db(self, frames_db: np.ndarray) -> np.ndarray:
        """Levels of the next frames ``(n,)`` -> their gains ``(n,)``, both in dB."""
        fall_db = FALL_DB_PER_S * _FRAME_SAMPLES / SAMPLE_RATE_HZ
        gains_db = np.empty(len(frames_db))
        for i, frame_db in enumerate(frames_db.tolist()):
            self._level_db = max(min(*self._last_db, frame_db), self._level_db - fall_db)
            self._last_db = [*self._last_db[1:], frame_db]
            gains_db[i] = FULL_DB - max(self._level_db, frame_db)
        return gains_db.clip(0.0, self._most_db)
