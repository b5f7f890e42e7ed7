"""What a CTC model's outputs mean, and how it wants its lattice to be searched."""

from dataclasses import dataclass, field

from asr.config import CtcSettings


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The text of each output, in the outputs' order.

    ``delimiter`` is the letter between words, "" where words are not written apart. ``special`` outputs write nothing;
    the ``blank`` is not among them. ``normalise``: the model was trained on audio of zero mean and unit variance.
    """

    letters: tuple[str, ...]
    blank: int
    delimiter: str
    special: frozenset[int]
    normalise: bool

    @property
    def ids(self) -> dict[str, int]:
        """Each letter that can be written -> its output, the delimiter included."""
        return {letter: i for i, letter in enumerate(self.letters) if i not in self.special and i != self.blank}

    @property
    def case(self) -> str:
        """The letters' case: "upper", "lower" or "mixed"."""
        text = "".join(letter for letter in self.ids if letter != self.delimiter)
        if text == text.upper() and text != text.lower():
            return "upper"
        return "lower" if text == text.lower() and text != text.upper() else "mixed"


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a model wants to be searched, where the stream's settings leave it open; ``beam`` 0 states nothing."""

    beam: int = 0
    settings: CtcSettings = field(default_factory=CtcSettings)
