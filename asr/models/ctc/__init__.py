"""CTC models: wav2vec 2.0, HuBERT, WavLM. Each frame is computed once, and no decoder writes text.

architecture      says which models are CTC models, and puts the recogniser together
recogniser        windows -> hypotheses, with the words that are settled
search            lattice -> words: greedy, or beams with a language model
forced_align      finds a given text in a lattice
network, feature_encoder   the networks
files, layout, vocabulary  read and check weights, outputs and settings
"""
