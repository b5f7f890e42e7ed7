"""Labelled recordings on disk, in any known layout -> utterances, joined and put under conditions as asked.

types              what the rest of `eval` uses: Clip, Utterance, Recording, Dataset, Problem
dataset            loads a data set, joins its clips, reads an utterance's samples, hashes the data
manifests          reads rows of JSON manifests, of folders of audio and text files, of LibriSpeech
tables             reads rows of CSV and of Common Voice's TSV
huggingface        reads rows of data sets saved by Hugging Face's `datasets`
rows               turns rows into utterances, broken ones into problems
problems           counts problems by kind
speech_bounds      finds start and end of speech in a recording's energy
writing_systems    says which scripts a language is written in
conditions         changes samples: noise, room, telephone line, codec, gain; seeded
apply_conditions   parses the command line's conditions and derives a data set for each
effects            the signal processing behind the conditions
"""
