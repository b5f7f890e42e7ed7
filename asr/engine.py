"""One model that serves many sessions: each step runs the model once for a batch of them.

The engine is stateless; the state of a stream is in its session. A step has two halves, and the session's methods are
called in this order:

    next_frames -> receive_probabilities     voice activity; it schedules the windows to be decoded
    next_window -> receive_hypothesis        the model, for each session with a window due
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from asr.config import DEFAULT_MODEL, SessionSettings
from asr.errors import ConfigError
from asr.languages import code_among, language_code
from asr.models.base import Recogniser
from asr.models.linear import PRECISIONS, best_precision, check_device
from asr.models.registry import load_recogniser
from asr.streaming.commit import POLICIES
from asr.streaming.session import Session
from asr.streaming.vad import SileroVad

MAX_FRAMES_A_STEP = 1024
"""Limit of voice activity for one stream in one step (33 s of audio), so that a file does not delay other streams."""


class Engine:
    """One model, serving any number of sessions."""

    def __init__(self, recogniser: Recogniser, vad: SileroVad | None = None) -> None:
        self._recogniser = recogniser
        self._vad = vad or SileroVad()

    @classmethod
    def load(
        cls,
        model: str = DEFAULT_MODEL,
        *,
        precision: str = "auto",
        threads: int | None = None,
        device: str = "cpu",
        compiled: bool = True,
    ) -> "Engine":
        """Load a model by its configured name, its folder or its hub id (`asr.models.registry`).

        `precision`: "auto" or one of `asr.models.linear.PRECISIONS`. `threads`: torch's threads, set for the whole
        process. `device`: "cpu", "cuda" or "cuda:1"; voice activity and the search stay on the CPU. `compiled` False:
        loads faster and recognises the same words more slowly, for less than half a minute of speech.
        Raises `ModelError`, and `ConfigError` for a precision or a device that is unknown or not here.
        """
        if precision != "auto" and precision not in PRECISIONS:
            raise ConfigError(f"unknown precision {precision!r}; use auto, {', '.join(PRECISIONS)}")
        check_device(device, precision)
        if threads is not None:
            torch.set_num_threads(threads)
        chosen = best_precision(device) if precision == "auto" else precision
        recogniser = load_recogniser(model, chosen, device)
        if compiled:
            recogniser.compile()
        return cls(recogniser)

    @property
    def name(self) -> str:
        """The name that the model was loaded by."""
        return self._recogniser.name

    @property
    def architecture(self) -> str:
        """The kind of network, as the model's files name it."""
        return self._recogniser.architecture

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the model's weight files."""
        return self._recogniser.weights_sha256

    @property
    def precision(self) -> str:
        """The number format of the model's matrix products, one of `asr.models.linear.PRECISIONS`."""
        return self._recogniser.precision

    @property
    def recogniser(self) -> Recogniser:
        """The model with its search, for callers without a session, such as forced alignment."""
        return self._recogniser

    @property
    def aligner(self) -> str:
        """The model and the method that align a text with its recording, as one description."""
        return f"{self.name}, {self._recogniser.aligner}"

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that the model knows; empty if it does not list them."""
        return self._recogniser.languages

    def open(
        self,
        settings: SessionSettings | None = None,
        *,
        language: str | None = None,
        prompt: str = "",
        hotwords: Sequence[str] = (),
        partials: bool = True,
        vitals: bool = False,
    ) -> Session:
        """A new session.

        `language` None: a multilingual model detects it. `prompt`: text that the decoder treats as spoken before, so
        that it continues its spelling and style. `hotwords`: words to expect, such as names; the search prefers them
        where they are likely. `partials` False: the session emits finals only.
        `vitals`: it emits `Measured` after each utterance.
        Raises `ConfigError` for a language that the model does not know, for hotwords that are one text, and for a
        translation if it makes none.
        """
        if isinstance(hotwords, str):  # its letters would be the words
            raise ConfigError(f"found hotwords {hotwords[:100]!r}, wanted a list of them")
        code = self.language_code(language)
        if settings and settings.decode.translate and not self._recogniser.translates:
            raise ConfigError(f"model {self.name} does not translate; wanted a Whisper model of several languages")
        tokens = self._recogniser.tokens_of(prompt)
        return Session(
            self._complete(settings or SessionSettings()),
            POLICIES[self._recogniser.finality],
            language=code,
            prompt=tokens,
            hotwords=tuple(hotwords),
            partials=partials,
            vitals=vitals,
        )

    def language_code(self, language: str | None) -> str | None:
        """The model's code of a language, such as "en" for ``en-US`` or ``English``; None for one to be detected.

        Raises `ConfigError` for a name that is no language, and for a language that the model does not know.
        """
        code = language_code(language)
        own = code_among(code, self.languages) if code and self.languages else code
        if own is None:
            listed = ", ".join(self.languages[:12]) + (", ..." if len(self.languages) > 12 else "")
            raise ConfigError(
                f"model {self.name} does not know language {language!r}; it knows {listed}; see: asr models"
            )
        return own or None

    def _complete(self, settings: SessionSettings) -> SessionSettings:
        """The settings, with the model's own values where they state none."""
        update_ms = settings.stream.update_ms or self._recogniser.update_ms
        return replace(settings, stream=replace(settings.stream, update_ms=update_ms))

    def step(self, sessions: Sequence[Session]) -> bool:
        """Advance every session that is ready by at most one window. Blocks: call it outside an event loop.

        Windows that are due go first. Only if there is none is one early window decoded, of the first session that has
        one: it must not hold up the others. Returns whether that was all.

        If the model raises, every session is as before its window: no audio is lost, no event emitted. Each can be
        stepped again, alone or with others.
        """
        self.detect_speech([session for session in sessions if session.pending_frames])
        asked = [(session, window) for session in sessions if (window := session.next_window()) is not None]
        due = [(session, window) for session, window in asked if not session.is_early]
        chosen = due or asked[:1]
        if chosen:
            hypotheses = self._recogniser.recognise([window for _, window in chosen])
            for (session, _), hypothesis in zip(chosen, hypotheses, strict=True):
                session.receive_hypothesis(hypothesis)
        return bool(chosen) and not due

    def detect_speech(self, sessions: Sequence[Session]) -> None:
        """The first half of a step: speech probabilities of the frames that these sessions received."""
        if sessions:
            chunks = [session.next_frames(MAX_FRAMES_A_STEP) for session in sessions]
            states = [session.vad_state for session in sessions]
            for session, probabilities in zip(sessions, self._vad.probabilities(states, chunks), strict=True):
                session.receive_probabilities(probabilities)
