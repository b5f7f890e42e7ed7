"""Trains and fine-tunes models on labelled recordings: `asr train` -> a folder that `--model` takes.

command         loads settings, data and model, runs the loop, writes the record
config          settings of a training, read from `configs/train/*.toml`
data            reads, splits and labels the examples
augment         joins, changes and batches the examples of an epoch
task            what the loop needs of a model: loss, errors, save
ctc_task        CTC models: wav2vec 2.0, HuBERT, WavLM
whisper_task    Whisper's decoder
distil_task     a student that learns Whisper's encoder states from a waveform: a start for CTC
teacher         Whisper's encoder, as the student's target
loop            steps, evaluations, checkpoints
filters         initial filters of a first convolution over the waveform
language_model  unigrams of the labels, for closed vocabularies
cut_words       cuts single words out of sentences, to train a small vocabulary
"""
