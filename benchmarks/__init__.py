"""Benchmarks of speed and size, as ratios to simple references measured in the same run.

Times from different machines or hours cannot be compared; ratios of two alternating measurements on
one machine can. Nothing here asserts: a result that misses its target is marked, and the exit
status stays 0.
"""
