"""Architecture arithmetic, trunk, head, sides, metrics.

`architecture`, `fingerprints`, `trunk_weights`, `trunk.golden` and `scores` never import
Keras; `backend`, `network`, `head` and `trunk.train` do, which takes seconds.
"""
