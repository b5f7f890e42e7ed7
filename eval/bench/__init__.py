"""Speed, beside a peer in the same run: `asr bench`.

command        the commands
files          one recording after the other, against faster-whisper
folders        folders on all cores, against its batched pipeline
turns          the end of a turn: single utterances over the wire
peer_servers   our server and another streaming server in turns
worlds, verdicts   how often verdicts are right in made-up worlds with a known truth
same_code      how often cost and delay are called different between two runs of the same code
coverage       how often intervals hold the truth, with the speakers of finished runs as the population
tables         what is printed
peers/         the peers: their processes, wires and transcribers
"""
