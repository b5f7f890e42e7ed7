"""What all tests share."""

import os
import tempfile

import torch

torch.set_num_threads(1)

# Models that somebody trained on this machine are no part of what is tested here.
os.environ["STEADYWORD_MODELS"] = tempfile.mkdtemp(prefix="steadyword-models-")
