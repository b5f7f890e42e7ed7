"""Who may do what, and how much of it.

keys         the file of keys: names, hashes, scopes, limits; reading and changing it
keyring      the keys of a running server: which one a request has shown, and the short-lived tokens of each
credentials  where a request shows its key: headers, subprotocols, never the address
context      the request that is served now: its key, and what its line in the log will say
quotas       streams at a time and seconds of audio a day, for each key
failed_tries slows down addresses that try wrong keys
hosts        which names the server answers to (DNS rebinding)
exposure     without keys the server listens on this machine only
tls          certificates, renewed while the server runs
watch        notices that a file has changed
logs         a line for each stream, and the audit of keys and refusals
commands     `asr keys`
"""
