"""Strikes a run of the whole pipeline at every step with every fault that machines have: `python -m tests.faults`.

Each cell of the matrix ends with the result that a run has to which nothing happens, at once or by the same command
again after one clear line; see `cell`.
"""
