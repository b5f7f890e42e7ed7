"""Defaults that the command line shows and the code below it uses. Imports nothing: `asr --help` must stay fast."""

SNR_DB = "20,10,5,0"
"""Levels of the condition noise, in dB."""

CLIP_S = 60.0
"""Clips are joined to about a minute: long enough that the window moves on, short enough to have several."""

PLAN_STREAMS, PLAN_P95_S = 100, 2.0
"""What the capacity plan of a report must carry: streams at once, and 95 % of the words stable within this time."""

BENCH_P95_S = 2.5
"""`asr bench server` counts streams as carried while 95 % of the words are stable within this. Not `PLAN_P95_S`: the
published benchmark tables count with this value."""

FINALIZE_AFTER_S, ENDPOINTING_MS = 0.2, "300"
"""How `asr bench turns` asks for the end of a turn: a client's `Finalize` this long after the end of speech (Pipecat's
default `stop_secs`), and the server's own end after this much silence."""

AUDIO_MB, AUDIT_AUDIO_MB = 4.0, 8.0
"""Audio embedded in a report and in an audit page, in megabytes."""
