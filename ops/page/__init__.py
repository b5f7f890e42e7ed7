"""The page of `asr ops serve`: what is live, whether it gets worse, and why nothing was done about it.

overview    the ledger -> one JSON object
actions     what a person may do with `--operate`
app         routes: the page's files, the JSON, the actions
"""
