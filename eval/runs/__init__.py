"""Runs recordings through models and keeps everything the sessions said as traces, which all metrics are made from.

command           `asr eval run`: runs each model in each mode over the data, then reports
setup             loads data sets, settings, engine or server for the commands; signs their results
runner            runs utterances in a mode and collects the traces; continues an interrupted run
replay            streams a recording to a session in this process, on a simulated clock
live              streams recordings to a server, at the pace of speech
local_server      starts `asr serve` for a measurement and stops it afterwards
capacity          runs more and more clients at once against each model's server
align_references  aligns references with their recordings, for word delays from the true ends of words
folder            keeps a run on disk: run.json, traces.jsonl, capacity.jsonl
signature         records what a number was made with: data, model, settings, code, machine
server_load       reads a server's steps, audio and CPU time in slices of a few seconds while it serves
process_usage     reads CPU time and memory of processes
"""
