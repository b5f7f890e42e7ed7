"""Checks labelled recordings before they are used to score a model: `asr eval audit`.

command           loads data sets, runs the audit, writes audit.html and audit.json
audit             runs all checks over all sets, sums them up in sentences and in a table
recordings        decodes and measures each recording, finds suspicious ones
acoustics         measures samples: speech, loudness, noise, bandwidth, clipping, cuts
statistics        describes a set or a slice in numbers
label_forms       finds words and marks that labels write in several ways
numbers_acronyms  finds numbers and acronyms that labels write in several ways
characters        finds characters that look right and are wrong
leaks             finds recordings, texts and speakers that two sets share
disputed_labels   ranks labels that the models of a run contradict
findings          holds what the checks find: findings, forms, examples
html              renders the page
"""
