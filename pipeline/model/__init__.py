"""Networks and numbers without files: trunk, head, scores, novelty, drift, heat maps.

`backend`, `network`, `head.layers` and whatever imports them import Keras, which takes seconds;
`architecture`, `fingerprints`, `trunk_weights`, `head.background` and `scores` never do.
"""
