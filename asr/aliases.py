"""The aliases of a model's releases, and how a move to one may be qualified: words of the ledger, the server and `ops`.

They stand alone, so that a server without a ledger does not load SQLAlchemy.
"""

CHAMPION, CANARY, SHADOW = ALIASES = ("champion", "canary", "shadow")
"""The release that streams get, the one that a share of the clients gets, the one that hears streams a second time."""

LOADING = "loading"
"""The arm of an outcome that is no stream: a release that a server could not load."""

WEIGHT, SHARE = "weight", "share"
"""Options of a move: the share of clients that the canary gets, and of streams that the shadow hears (0 to 1)."""
DEFAULT_WEIGHT, DEFAULT_SHARE = 0.05, 0.2

BASIS = "basis"
"""Key of a move's evidence: all that is needed to repeat the verdict (`ops.monitor.replay`), for programs only."""
