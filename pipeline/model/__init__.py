"""Architecture arithmetic, trunk, head, sides, metrics.

`architecture`, `baselines`, `fingerprints`, `golden`, `metrics`, `splits` and `trunk` never import
Keras; `backend`, `head` and `network` do, which takes seconds.
"""
