"""The pipeline: audit -> train -> eval -> gate -> add -> shadow -> canary -> promote, as steps that resume.

plan        one TOML file -> the settings of the steps, and the hash of what each step depends on
steps       what each step does: it calls `asr eval audit`, `asr train`, `asr eval run`, the gate, the ledger
run         the steps in order, each once for the same inputs; its state is in the ledger
"""
