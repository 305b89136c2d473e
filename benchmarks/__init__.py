"""How fast and how small, as ratios against plain references measured within the same run.

Times of different machines and hours do not compare; ratios of two things that took turns on the
same machine do. Nothing here asserts: a row under its bar is marked, and the exit status stays 0.
"""
