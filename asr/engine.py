"""The batched model call. Stateless: what a stream needs from step to step lies in its session."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from asr.config import DEFAULT_MODEL, SessionSettings
from asr.errors import ConfigError
from asr.models.base import Recogniser
from asr.models.linear import PRECISIONS, best_precision
from asr.models.registry import load_recogniser
from asr.streaming.commit import POLICIES
from asr.streaming.session import Session
from asr.streaming.vad import SileroVad

MAX_FRAMES_A_STEP = 1024
"""Voice activity looks at no more than this (33 s) of one stream in a step, so that a file does not hold up others."""


class Engine:
    """One model, serving any number of sessions."""

    def __init__(self, recogniser: Recogniser, vad: SileroVad | None = None) -> None:
        self._recogniser = recogniser
        self._vad = vad or SileroVad()

    @classmethod
    def load(cls, model: str = DEFAULT_MODEL, *, precision: str = "auto", threads: int | None = None) -> "Engine":
        """The engine of a model by name (see `asr.model_files`). `threads` sets torch's for the whole process."""
        if precision != "auto" and precision not in PRECISIONS:
            raise ConfigError(f"unknown precision {precision!r}; use auto, {', '.join(PRECISIONS)}")
        if threads is not None:
            torch.set_num_threads(threads)
        return cls(load_recogniser(model, best_precision() if precision == "auto" else precision))

    @property
    def name(self) -> str:
        """The model's name."""
        return self._recogniser.name

    @property
    def architecture(self) -> str:
        """The kind of network, as the model's files name it."""
        return self._recogniser.architecture

    @property
    def weights_sha256(self) -> str:
        """The hash of the model's weights as they were found."""
        return self._recogniser.weights_sha256

    @property
    def precision(self) -> str:
        """What the model calculates in."""
        return self._recogniser.precision

    @property
    def recogniser(self) -> Recogniser:
        """The model with its search, for what needs no session: forced alignment."""
        return self._recogniser

    @property
    def aligner(self) -> str:
        """What aligns a text with its recording: the model and its method."""
        return f"{self.name}, {self._recogniser.aligner}"

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that the model knows; empty where it does not say."""
        return self._recogniser.languages

    def open(
        self,
        settings: SessionSettings | None = None,
        *,
        language: str | None = None,
        prompt: str = "",
        hotwords: Sequence[str] = (),
        partials: bool = True,
    ) -> Session:
        """A new stream. `language` None lets a multilingual model find out; `ConfigError` for an unknown one.

        `prompt` is text that the decoder takes as said before: its spelling and style go on. `hotwords` are words to
        expect, names say: they are preferred where they are likely.
        """
        code = self.language_code(language)
        tokens = self._recogniser.tokens_of(prompt)
        return Session(
            self._complete(settings or SessionSettings()),
            POLICIES[self._recogniser.finality],
            language=code,
            prompt=tokens,
            hotwords=tuple(hotwords),
            partials=partials,
        )

    def language_code(self, language: str | None) -> str | None:
        """The model's code of a language, such as "en" for ``en-US``; None where the model must find out."""
        return _language_code(language, self.languages, self.name)

    def _complete(self, settings: SessionSettings) -> SessionSettings:
        """The settings with what they leave to the model."""
        update_ms = settings.stream.update_ms or self._recogniser.update_ms
        return replace(settings, stream=replace(settings.stream, update_ms=update_ms))

    def step(self, sessions: Sequence[Session]) -> None:
        """Advance every session that is ready by at most one model call. Blocking; call it off the event loop.

        When it raises, no session has lost or said anything: each can be stepped again, alone or with others.
        """
        self.listen([session for session in sessions if session.pending_frames])
        asked = [(session, window) for session in sessions if (window := session.next_window()) is not None]
        if asked:
            hypotheses = self._recogniser.recognise([window for _, window in asked])
            for (session, _), hypothesis in zip(asked, hypotheses, strict=True):
                session.receive_hypothesis(hypothesis)

    def listen(self, sessions: Sequence[Session]) -> None:
        """Voice activity alone: how likely speech is in the frames that wait in these sessions."""
        if sessions:
            chunks = [session.next_frames(MAX_FRAMES_A_STEP) for session in sessions]
            states = [session.vad_state for session in sessions]
            for session, heard in zip(sessions, self._vad.probabilities(states, chunks), strict=True):
                session.receive_probabilities(heard)


def _language_code(language: str | None, known: Sequence[str], model: str) -> str | None:
    """``en-US`` is ``en``; None and ``multi`` let the model find out. A model that states none takes any."""
    if language in (None, "", "auto", "multi"):
        return None
    code = str(language).split("-")[0].split("_")[0].casefold()
    if known and code not in known:
        listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
        raise ConfigError(f"model {model} does not know language {language!r}; it knows {listed}")
    return code
