"""Fine-tunes Whisper's decoder, or the encoder too, under the conditions in which the engine uses it.

The encoder receives only the real audio, as in `asr.models.whisper.encoder`. While it is frozen, its states of samples
that come again are kept, which makes training possible in minutes of CPU time. The decoder also sees a few seconds of
states of silence after them, where it learns to stop. The encoder learns where `model.train_only` names its parameters.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr.errors import CallerError, ModelError
from asr.languages import code_among, language_code
from asr.models.base import Window
from asr.models.registry import find_model
from asr.models.whisper.architecture import WHISPER, recogniser_of
from asr.models.whisper.encoder import FRAME_SAMPLES, MAX_FRAMES
from asr.models.whisper.features import log_mel
from asr.models.whisper.files import WhisperFiles
from asr.models.whisper.network import SILENT_MEL, TAIL_SAMPLES
from asr.models.whisper.recogniser import WhisperRecogniser
from asr.models.whisper.tokenizer import Tokenizer
from asr.normalisation.normalise import normalise
from eval.metrics.word_errors import Counts, count, total
from train.config import ModelSettings
from train.data import Example
from train.task import freeze

SILENCE_S, _FRAMES_A_S = 5, 50
"""Seconds of silence states after the audio: enough for the decoder to learn where to stop."""
_IGNORED = -100
_SILENCE_EVERY = 20
"""Steps after which a learning encoder's states of silence are computed again: they cost as much as 30 s of audio."""
_MOST_KEPT = 5000
"""Recordings whose states are kept, about 200 KB each; the oldest go first."""
DECODER = "model.decoder.layers"
"""Name prefix of the parameters trained by default: not the embeddings, which are tied to the output."""


class WhisperTask:
    """`train.task.TrainingTask` for a Whisper model."""

    measure = "WER"

    def __init__(self, files: WhisperFiles, device: torch.device, language: str) -> None:
        self._files, self._device, self._language = files, device, language_of(files, language)
        self._tokenizer = Tokenizer(files.tokenizer_json)
        self.model = whisper_network(files).to(device)
        self._head = _head(files, self._tokenizer, self._language)
        self._end = self._tokenizer.special("<|endoftext|>")
        self._cache: dict[bytes, torch.Tensor] = {}
        self._losses = 0
        self._silence = self._silent()

    def loss(self, batch: Sequence[Example]) -> torch.Tensor:
        """The mean cross entropy per token of the text."""
        if self._trains_encoder and self._losses % _SILENCE_EVERY == 0:
            self._silence = self._silent()
        self._losses += 1
        states = self._states(batch)
        rows = [[*self._head, *self._tokenizer.encode(f" {e.text}"), self._end] for e in batch]
        longest = max(map(len, rows))
        tokens = torch.tensor([row + [self._end] * (longest - len(row)) for row in rows], device=self._device)
        prompt = [_IGNORED] * (len(self._head) - 1)
        targets = torch.tensor(
            [prompt + row[len(self._head) :] + [_IGNORED] * (longest - len(row)) for row in rows], device=self._device
        )
        logits = self._decode(tokens[:, :-1], states)
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=_IGNORED)

    def errors(self, batch: Sequence[Example]) -> Counts:
        """Word errors of the engine's own search with the current weights, on normalised text."""
        recogniser = self._recogniser()
        counts = []
        for example in batch:
            hypothesis = recogniser.recognise([Window(example.samples, self._language)])[0]
            text = "".join(piece.text for piece in hypothesis.pieces)
            counts.append(
                count(normalise(example.text, self._language), normalise(text, self._language), self._language)
            )
        return total(counts)

    def save(self, folder: Path) -> None:
        """Writes weights, settings, tokenizer and alignment heads in Transformers' layout."""
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self.model.save_pretrained(folder)
        shutil.copy(self._files.tokenizer_json, folder / "tokenizer.json")
        keys = ("alignment_heads", "suppress_tokens", "begin_suppress_tokens", "is_multilingual")
        table = {key: self._files.generation[key] for key in keys}
        (folder / "generation_config.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")

    def _recogniser(self) -> WhisperRecogniser:
        tensors = {k: v.detach().cpu() for k, v in self.model.state_dict().items() if k != "proj_out.weight"}
        return recogniser_of(replace(self._files, tensors=tensors, weights_sha256=""), "float32")

    def _states(self, batch: Sequence[Example]) -> torch.Tensor:
        """The encoder states of the batch, padded with states of silence to one length: ``(B, n, width)``."""
        rows = [self._states_of(example) for example in batch]
        longest = min(MAX_FRAMES, max(map(len, rows)) + SILENCE_S * _FRAMES_A_S)
        return torch.stack([torch.cat([row, self._silence[len(row) : longest]]) for row in rows])

    def _states_of(self, example: Example) -> torch.Tensor:
        """The encoder states of a recording ``(n, width)``; of a frozen encoder kept, in half precision.

        The key is the content: augmentation makes new arrays in each epoch, at addresses that were used before.
        """
        samples = np.pad(example.samples, (0, TAIL_SAMPLES))
        whole = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES]
        if self._trains_encoder:
            return self._encode(log_mel(whole, int(self._files.config["num_mel_bins"])))
        key = hashlib.blake2b(example.samples.tobytes(), digest_size=16).digest()
        if key not in self._cache:
            if len(self._cache) >= _MOST_KEPT:
                self._cache.pop(next(iter(self._cache)))
            with torch.no_grad():
                self._cache[key] = self._encode(log_mel(whole, int(self._files.config["num_mel_bins"]))).half()
        return self._cache[key].float()

    @property
    def _trains_encoder(self) -> bool:
        return any(parameter.requires_grad for parameter in self.model.model.encoder.parameters())

    @torch.no_grad()
    def _silent(self) -> torch.Tensor:
        """The states of 30 s of silence ``(MAX_FRAMES, width)``, with the present weights."""
        return self._encode(torch.full((int(self._files.config["num_mel_bins"]), 2 * MAX_FRAMES), SILENT_MEL))

    def _encode(self, mel: torch.Tensor) -> torch.Tensor:
        """Log-mel ``(bands, 2 n)`` -> states ``(n, width)``."""
        encoder: Any = self.model.model.encoder.eval()  # kept states must not contain dropout
        states: torch.Tensor = encoder.layer_norm(layer_states(encoder, convolved(encoder, mel.to(self._device)))[-1])
        return states

    def _decode(self, tokens: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """Logits ``(B, Q, V)`` of tokens ``(B, Q)``, given encoder states ``(B, n, width)``."""
        decoder: Any = self.model.model.decoder
        hidden = decoder(input_ids=tokens, encoder_hidden_states=states, use_cache=False).last_hidden_state
        logits: torch.Tensor = self.model.proj_out(hidden)
        return logits


def whisper_task(settings: ModelSettings, device: torch.device, language: str) -> WhisperTask:
    """Loads the model. Raises `ModelError` if the start is not a Whisper model."""
    task = WhisperTask(whisper_files(settings.start, "for kind = whisper"), device, language)
    freeze(task.model, settings.freeze, settings.train_only or (DECODER,))
    return task


def whisper_files(name: str, purpose: str) -> WhisperFiles:
    """The files of a Whisper model. Raises `ModelError`, for another architecture too; `purpose` ends its message."""
    _, source = find_model(name)
    if not WHISPER.accepts(source):
        raise ModelError(f"{name} is a {source.model_type} model, wanted a Whisper model {purpose}")
    return WHISPER.load_files(name, source)


def convolved(encoder: Any, mel: torch.Tensor) -> torch.Tensor:
    """Log-mel ``(bands, 2 n)`` -> output of the encoder's convolutions ``(n, width)``."""
    x = torch.nn.functional.gelu(encoder.conv1(mel[None]))
    frames: torch.Tensor = torch.nn.functional.gelu(encoder.conv2(x))[0].t()
    return frames


def layer_states(encoder: Any, frames: torch.Tensor) -> list[torch.Tensor]:
    """Output of the convolutions ``(n, width)`` -> states after each layer ``(n, width)``, before the final norm.

    This is Transformers' encoder without its requirement of exactly 30 s.
    """
    x = (frames + encoder.embed_positions.weight[: len(frames)])[None]
    states = []
    for layer in encoder.layers:
        x = layer(x, None)
        x = x[0] if isinstance(x, tuple) else x
        states.append(x[0])
    return states


def whisper_network(files: WhisperFiles) -> Any:
    """Transformers' network with these weights. Raises `ModelError` if they do not fit."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig(**files.config, dropout=0.1, tie_word_embeddings=True)
    config._attn_implementation = "eager"
    model = WhisperForConditionalGeneration(config)
    missing, unexpected = model.load_state_dict({k: v.float() for k, v in files.tensors.items()}, strict=False)
    if unexpected or [name for name in missing if name != "proj_out.weight"]:
        raise ModelError(f"{files.name} does not fit Transformers' Whisper: {[*missing, *unexpected][:3]}")
    model.tie_weights()
    return model


def language_of(files: WhisperFiles, language: str) -> str:
    """The model's own code of a language. Raises `CallerError` for one that it does not know."""
    if not files.generation["is_multilingual"]:
        return language_code(language)
    code = code_among(language_code(language), files.generation["lang_to_id"])
    if code is None:
        raise CallerError(f"{files.name} does not know language {language!r}; wanted data.language as one of its codes")
    return code


def _head(files: WhisperFiles, tokenizer: Tokenizer, language: str) -> list[int]:
    """The prompt tokens: start, language and task if the model is multilingual, no timestamps."""
    names = ["<|startoftranscript|>"]
    if files.generation["is_multilingual"]:
        names += [f"<|{language}|>", "<|transcribe|>"]
    return [tokenizer.special(name) for name in (*names, "<|notimestamps|>")]
