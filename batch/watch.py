"""`--watch`: what arrives in the folders is done when it is whole, with the journal and the guarantees of every run."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from asr.audio.files import read_blocks
from asr.errors import AudioError
from batch.inputs import Failure, Found, Recording
from batch.job import Order, Summary, Workplace, left_to_do, outputs_of, read_notes, run
from batch.progress import display, say, told
from batch.recordings import Mark, mark_of

POLL_S = 0.5
SETTLE_S = 2.0
"""A file that did not change for so long, and can be read, is whole."""
GIVE_UP_S = 10.0
"""One that cannot be read and does not change for so long is broken."""


def follow(
    look: Callable[[], Found], order: Order, key: str, hire: Callable[[], AbstractContextManager[Workplace]]
) -> Summary:
    """Until Ctrl-C; the sum of all rounds."""
    total = Summary(0, 0, (), 0.0, 0.0)
    try:
        with hire() as place:
            say("asr: watching; Ctrl-C ends it")
            ripening = Ripening()
            while True:
                found = look()
                total = _noted(total, found.failures)
                ready = ripening.ripe(
                    left_to_do(found, read_notes(order.folder), outputs_of(order.folder), key, order.formats)
                )
                if ready:
                    total = total + _round(order, Found(ready), key, place, total)
                time.sleep(POLL_S)
    except KeyboardInterrupt:
        return total


def _round(order: Order, found: Found, key: str, place: Workplace, total: Summary) -> Summary:
    again = {recording.path for recording in found.recordings}
    earlier = [failure for failure in total.failures if failure.path not in again]
    with display() as shown:
        summary = run(order, found, key, lambda: nullcontext(place), shown, earlier)
    for recording in found.recordings:
        if recording.path not in {failure.path for failure in summary.failures}:
            say(f"asr: {told(Failure(recording.path, 'done'))}")
    return summary


def _noted(total: Summary, failures: Sequence[Failure]) -> Summary:
    """The sum with failures of the search, each told once."""
    known = {failure.path for failure in total.failures}
    fresh = [failure for failure in failures if failure.path not in known]
    for failure in fresh:
        say(f"asr: {told(failure)}")
    return replace(total, failures=(*total.failures, *fresh))


class Ripening:
    """Which files have stood still long enough; one that failed comes again when it changes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[str, tuple[Mark, float]] = {}
        self._taken: dict[str, Mark] = {}

    def ripe(self, left: tuple[Recording, ...]) -> tuple[Recording, ...]:
        """Those of the recordings left to do that are whole, or broken for good."""
        return tuple(recording for recording in left if self._is_ripe(recording))

    def _is_ripe(self, recording: Recording) -> bool:
        name, now = str(recording.path), self._clock()
        try:
            mark = mark_of(recording.path)
        except AudioError:
            return False  # gone again
        known, since = self._since.get(name, (None, now))
        if known != mark:
            self._since[name] = (mark, now)
            return False
        if self._taken.get(name) == mark or now - since < SETTLE_S:
            return False
        if not _can_be_read(recording) and now - since < GIVE_UP_S:
            return False
        self._taken[name] = mark
        return True


def _can_be_read(recording: Recording) -> bool:
    try:
        return next(read_blocks(recording.path), None) is not None
    except AudioError:
        return False
