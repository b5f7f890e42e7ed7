"""Which release serves a stream, and how another one is put in its place.

roster      name -> {champion, canary, shadow} -> scheduler; a stream takes a seat in one of them and keeps it
follow      what the ledger says, this server does: load beside, self-test, assign, drain
releases    the models of the settings that the ledger has releases of; starts a release's workers
memory      is there memory for two

`follow` and `releases` are imported only where there is a ledger.
"""
