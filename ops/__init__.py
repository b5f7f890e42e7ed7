"""Operations: how a release gets into its place, by proof, and is taken back on suspicion.

    policy      the limits and chances of errors of a rollout, from TOML
    evidence    rows of the ledger -> what they prove (`eval.betting`); pure
    rollout     the table of states: (stage, evidence, policy) -> action with its sentence; pure
    rows        the rows about a model that a round has read; each is read once
    drift       bets on the numbers of live utterances: which moved away from a frozen reference
    quality     estimated WER corrected by labels, as a confidence sequence; by language, client, hour, condition
    quality_watch   draws utterances for labels, and raises alarms by what labels prove
    quality_fit     labelled sets -> the model of a champion's errors
    watchers    what a round runs, in its order
    monitor     reads the ledger, makes at most one move at a time by compare-and-set, until nothing is left to do
    labels      a file of labels -> the ledger
    forget      what is kept of a consent is removed; the releases trained on it are listed
    gate        the evaluation's gate on standing sets, its looks and its result in the ledger

The server knows nothing of this package. A monitor that is dead changes nothing: aliases stay where they are.
"""
