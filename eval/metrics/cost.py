"""What recognition costs: CPU seconds per second of audio, and how many times faster than real time."""

from collections.abc import Iterable

from eval.trace import Trace


def audio_s(traces: Iterable[Trace]) -> float:
    """Seconds of audio in all traces."""
    return sum(trace.duration_s for trace in traces)


def cpu_per_audio(traces: Iterable[Trace]) -> float | None:
    """CPU seconds per second of audio, summed before dividing; None where nothing was measured."""
    measured = [(t.cpu_s, t.duration_s) for t in traces if t.cpu_s is not None]
    heard_s = sum(duration_s for _, duration_s in measured)
    return sum(cpu_s for cpu_s, _ in measured) / heard_s if heard_s else None


def rtfx(traces: Iterable[Trace]) -> float | None:
    """Seconds of audio per second of work (the inverse real-time factor); None where nothing was measured."""
    measured = [(t.duration_s, t.busy_s) for t in traces if t.busy_s is not None]
    worked_s = sum(busy_s for _, busy_s in measured)
    return sum(duration_s for duration_s, _ in measured) / worked_s if worked_s else None
