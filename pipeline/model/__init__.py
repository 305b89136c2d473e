"""Networks and numbers without files: trunk, head, scores, novelty, drift, heat maps.

`keras_backend`, `network`, `head.networks` and whatever imports them import Keras, which takes
seconds; `architecture`, `fingerprints`, `trunk_weights`, `head.abnormal_probability` and `scores`
never do.
"""
