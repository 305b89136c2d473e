"""Fault injection: runs are killed, run out of disk or compete, and are then run to the end.

`make chaos` (`python -m tests.chaos`) does all of it and prints a table; a short form is
`tests/end_to_end/test_killed.py`. After a final run, every table must equal that of an undisturbed
run, byte for byte.
"""
