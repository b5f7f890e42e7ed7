"""A model's name -> its files, checked by SHA-256: configured packages, local folders, a model hub."""

from asr.model_files.load import ModelFiles, ModelStatus, list_models, load_model_files

__all__ = ["ModelFiles", "ModelStatus", "list_models", "load_model_files"]
