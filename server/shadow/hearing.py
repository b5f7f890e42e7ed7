"""The second hearing of a recording: the same calls on another release's sessions, each step when its turn comes."""

from collections.abc import Awaitable, Callable, Sequence

from server.shadow.recording import Recording, Said, said_in
from server.shadow.turns import Turns
from server.streams.scheduler import Scheduler
from server.workers.contract import StreamSession
from server.workers.messages import apply

OpenSession = Callable[[], Awaitable[StreamSession]]
"""Opens a session on the other release, with the settings that it would have given to the same client."""


async def hear(recording: Recording, scheduler: Scheduler, open_session: OpenSession, turns: Turns) -> list[list[Said]]:
    """What the other release says of each channel, after all of it was received.

    A session's finals follow from its calls alone, not from when they come or how many are made before a step, so this
    is that release's live text. Raises as `open_session` and `Scheduler.step`.
    """
    said: list[list[Said]] = [[] for _ in recording.channels]
    sessions: list[StreamSession] = []
    try:
        while not recording.is_over:
            await recording.changed.wait()
            recording.changed.clear()
            while recording.is_due:
                async with turns.turn():
                    while len(sessions) < len(recording.channels):
                        sessions.append(await open_session())
                    await _hear_block(recording, sessions, said, scheduler, turns)
    finally:
        for session in sessions:
            scheduler.close(session)
    return said


async def _hear_block(
    recording: Recording,
    sessions: Sequence[StreamSession],
    said: Sequence[list[Said]],
    scheduler: Scheduler,
    turns: Turns,
) -> None:
    """A block of each channel that has one, within a turn."""
    for channel, session, words in zip(recording.channels, sessions, said, strict=True):
        for call in channel.take() if channel.is_due else ():
            apply(call, session)
        while session.ready:
            await turns.step(scheduler, session)
        words += said_in(session.take_events())
