"""Writes a unigram language model of the labels, for closed vocabularies."""

import json
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

UNKNOWN = 1e-4
"""The probability of each word that is not in the labels."""
DECODING = {"beam": 12, "lm": "lm.arpa", "lm_weight": 1.0, "word_bonus": 1.0, "right_s": 0.32}
"""Settings of `decoding.json`, with which the model is decoded."""


def write_language_model(folder: Path, texts: Iterable[str]) -> None:
    """Writes `lm.arpa` (unigrams in ARPA format) and the `decoding.json` that makes the decoder use it."""
    counts = Counter(word.casefold() for text in texts for word in text.split())
    total = counts.total()
    log_shares = {word: math.log10((1 - UNKNOWN) * count / total) for word, count in sorted(counts.items())}
    singles = {"<unk>": math.log10(UNKNOWN), "<s>": -99.0, "</s>": -1.0} | log_shares
    pairs = {
        f"<s> {word}": share for word, share in log_shares.items()
    }  # KenLM requires bigrams; these add nothing to the unigrams
    lines = ["\\data\\", f"ngram 1={len(singles)}", f"ngram 2={len(pairs)}"]
    lines += ["", "\\1-grams:", *(f"{share:.4f}\t{word}\t0" for word, share in singles.items())]
    lines += ["", "\\2-grams:", *(f"{share:.4f}\t{word}" for word, share in pairs.items()), "", "\\end\\", ""]
    (folder / "lm.arpa").write_text("\n".join(lines), encoding="utf-8")
    (folder / "decoding.json").write_text(json.dumps(DECODING, indent=1) + "\n", encoding="utf-8")
