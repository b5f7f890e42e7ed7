"""Evaluation: runs recordings through models and measures accuracy, delay, stability and cost.

commands    declares the options of `asr eval` and `asr bench`, calls each room's command
defaults    defaults that the options and the rooms share
trace       everything a session said over one utterance, each event with its times
equivalents writes a hypothesis as its reference where both say the same (texts are normalised by `asr.normalisation`)
progress    shows a progress bar

data        loads labelled recordings and puts them under conditions
audit       checks labelled recordings: `asr eval audit`
runs        makes traces: `asr eval run`
metrics     computes figures from traces
report      compares systems, decides, gates: `asr eval compare`, `gate`, `sweep`
html        renders what pages share
bench       measures speed: `asr bench`
"""
