"""Whisper: an encoder that grows with its window, and a decoder that writes text.

architecture   says which models are Whisper's, and puts the recogniser together
recogniser     windows -> hypotheses, with languages, word times and confidences
search         finds a window's text: greedy, sampled or by beams
hotwords       adds a bonus to tokens that spell expected words; the text of such a search is a proposal
biasing        where hotwords could stand in a text, by its spelling and by a proposal
rescoring      puts them there if that costs little probability
word_times     finds when each word was spoken
features       samples -> log-mel frames
network, encoder, decoder   the networks
tokenizer, generation       text <-> tokens; special tokens
files, layout, ctranslate2, converted_copy   reads and checks weights in both layouts
"""
