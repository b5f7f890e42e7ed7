"""Figures -> decisions: `asr eval compare`, `gate` and `sweep`.

command         the commands
systems         pairs systems on the same recordings
advice          says which system to choose, and what data is missing for an answer
verdict         says in sentences what the figures mean
slices          breaks errors down by parts of the data
parts           compares two systems on each set and slice
capacity_plan   says how many cores a number of streams needs
machines        says how many machines a number of streams needs, and what saturates first (`asr eval plan`)
lane_simulation simulates streams that wait for the steps of a lane
gate            checks a run against its baseline
looks           counts the looks at a data set
sweep           runs a grid of settings, finds the Pareto front
build, tables   fill the report, one dataclass
html, terminal, mlflow   write it: pages and JSON, the printed table, MLflow
"""
