"""Faults on purpose: runs that are killed, starved of disk or raced, and what must be left then.

`make chaos` (`python -m tests.chaos`) does all of it and prints a table; a short form is in
`tests/test_killed.py`. The rule is one: after a final run, every table equals that of a run that
nobody disturbed, byte for byte.
"""
