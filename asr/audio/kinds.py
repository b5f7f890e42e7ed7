"""Which files of a folder are recordings, judged by their names: the one list for `asr transcribe` and evaluation sets.

A file that is named by itself is read whatever its name is.
"""

from pathlib import PurePath

SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        # uncompressed, and from speech corpora
        *("wav", "wave", "bwf", "rf64", "w64", "aif", "aiff", "aifc", "au", "snd", "caf", "voc", "sph", "nist"),
        # lossless
        *("flac", "ape", "tta", "tak", "wv"),
        # MPEG and Dolby
        *("mp1", "mp2", "mp3", "mpa", "mpga", "aac", "adts", "loas", "ac3", "eac3", "ec3", "dts"),
        # Ogg
        *("ogg", "oga", "ogx", "ogv", "ogm", "opus", "spx"),
        # MP4 and QuickTime, and what telephones and recorders call them
        *("mp4", "m4a", "m4b", "m4r", "m4v", "mov", "qt", "qta", "3ga", "3gp", "3gpp", "3g2", "3gp2", "f4a", "f4v"),
        # Matroska
        *("mkv", "mka", "webm", "weba"),
        # Windows, RealMedia, Sony, Musepack
        *("wma", "wmv", "asf", "avi", "divx", "ra", "rm", "rmvb", "oma", "aa3", "mpc"),
        # telephones
        *("amr", "awb"),
        # broadcasts, discs, cameras
        *("mpg", "mpeg", "mpe", "m2p", "vob", "ts", "mts", "m2t", "m2ts", "flv", "mxf"),
    )
)
"""In lower case, with the dot."""


def is_recording(path: PurePath) -> bool:
    """Whether the name ends as a recording's does, in capitals or not."""
    return path.suffix.casefold() in SUFFIXES
