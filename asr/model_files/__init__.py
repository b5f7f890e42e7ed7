"""A model's name -> its files, checked by SHA-256: configured packages, local folders, a model hub.

Nothing here knows an architecture: `asr.models.registry` asks each which files it takes.
"""

from asr.model_files.find import find_source
from asr.model_files.folders import folder_source
from asr.model_files.listing import ModelStatus, list_models
from asr.model_files.source import Source

__all__ = ["ModelStatus", "Source", "find_source", "folder_source", "list_models"]
