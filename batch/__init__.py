"""Folders of recordings: listened to, recognised in batches of like windows, written so that a crash costs little.

inputs      what was asked for -> recordings and where each one's texts go
journal     what is done, line by line
outputs     a transcript -> its files, whole or not there
listening   one recording -> windows to recognise, and their hypotheses -> its transcript
bench       what one worker does: listen, recognise
crew        the workers: this process, or several
work        the loop that keeps them all busy
cluster     the same on Ray, with object storage
job         one run: what is left to do, done, written, noted
estimate, watch, display, command           what a run would take; what arrives; what people see; the options
"""
