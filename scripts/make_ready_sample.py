"""Makes asr/ready.flac, the speech that a server must recognise before it reports that it is ready.

Needs espeak-ng (Debian: apt-get install espeak-ng). The voice is synthetic, so no speaker has rights to it.
"""

import io
import subprocess
from pathlib import Path

import numpy as np
import soundfile
import soxr

RATE_HZ = 16_000
TEXT = "There are seven days in a week."
TARGET = Path(__file__).parent.parent / "asr" / "ready.flac"


def main() -> None:
    """Synthesises the sentence at 16 kHz with 0.2 s of silence on either side."""
    spoken = subprocess.run(
        ["espeak-ng", "-v", "en-us", "-s", "150", "--stdout", TEXT], check=True, capture_output=True
    )
    samples, rate_hz = soundfile.read(io.BytesIO(spoken.stdout), dtype="float32")
    samples = soxr.resample(samples, rate_hz, RATE_HZ)
    silence = np.zeros(RATE_HZ // 5, np.float32)
    soundfile.write(TARGET, np.concatenate([silence, samples, silence]), RATE_HZ)
    print(f"{TARGET}: {len(samples) / RATE_HZ:.1f} s of {TEXT!r}, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
