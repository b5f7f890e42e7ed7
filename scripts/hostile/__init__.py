"""An attack on a server: hostile messages over all wires, beside healthy streams.

    python -m scripts.hostile --messages 200000 --seed 7 --audio speech.flac

`material` makes what is sent, `sending` sends it and counts the answers, `scenarios` are the clients, `healthy` the
streams that must not notice, `measured` the whole run on a server of its own. `scenarios.attack` alone works on any
server, in any process.
"""
