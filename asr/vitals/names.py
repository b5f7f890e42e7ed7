"""The numbers of one utterance: their names, in the one order in which they are kept."""

ACOUSTIC = (
    "level_db",
    "noise_db",
    "snr_db",
    "peak_db",
    "clipped",
    "zeros",
    "rolloff_khz",
    "low_db",
    "upper_db",
    "high_db",
    "top_db",
    "tilt_db",
    "flatness",
    "floor_flatness",
    "holes",
    "modulation",
    "decay_db",
)
"""How it sounds. Levels in dB of full scale; bands in dB beside 0.3 to 3.4 kHz; shares 0 to 1."""
BEHAVIOUR = ("length_s", "speech_share", "words_per_s", "pauses_per_s", "longest_pause_s", "voiced")
"""How it is spoken."""
MODEL = ("confidence", "low_confidence", "unsure_share", "wordless", "loops", "restarts", "revised", "doubts")
"""What the model says of itself."""
TEXT = ("tokens_per_word", "characters_per_word", "compression", "distinct")
"""The form of the text, never the text."""
CONCEPT = ("terms_asked", "terms_given")
"""Terms that the client asked for (`keyterm`), and how many of them came."""
OUTCOME = ("finalized", "gap_s")
"""How it ended: at the client's request; the silence before it."""

PRONUNCIATION = ("accent",)
"""How much it sounds like accented speech, in log odds (`asr.models.whisper.accent`); only some encoders know it."""

NAMES = ACOUSTIC + BEHAVIOUR + MODEL + TEXT + CONCEPT + OUTCOME + PRONUNCIATION
"""All of them, in the order in which they are kept. New ones come last: rows from before do not know them."""
VERSION = 1
"""Of this order. A ledger's rows of another version are left out, because their numbers mean something else."""
INDEX = {name: number for number, name in enumerate(NAMES)}
"""Where each stands in a row."""
GROUPS = {
    "acoustic": ACOUSTIC,
    "behaviour": BEHAVIOUR,
    "model": MODEL,
    "text": TEXT,
    "concept": CONCEPT,
    "outcome": OUTCOME,
    "pronunciation": PRONUNCIATION,
}
"""Group -> its names."""
