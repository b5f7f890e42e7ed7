"""Models: windows of audio in, hypotheses out. One folder for each architecture, which says how it loads.

base           the contract between the engine and every model
architecture   what an architecture says of itself
registry       lists the architectures; a model's name -> its recogniser
whisper, ctc   the architectures
layers, linear, torchscript   what networks share: building blocks, matrix products, compilation
"""
