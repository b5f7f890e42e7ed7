"""Drift: has live speech moved away from a frozen reference, how much, and like which condition?

detector    bets on units, numbers only
units       which rows of the ledger are units, and what is known of them before any audio
reference   which units are the reference
nearest     the condition of the evaluation that the shift is most like, and what it costs
watcher     the monitor's part: reads new rows, keeps its place, adds alarms
measuring   sets under conditions, for nearest and trial
trial       live streams with a known beginning of a shift, and months in which nothing moves
report      what `asr drift` prints
"""
