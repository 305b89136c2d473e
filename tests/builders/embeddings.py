"""Embeddings made up from their classes."""

import numpy as np


def three_classes(width):
    """Embeddings (200, width) of three classes, their classes, training rows, validation rows.

    Each class has its own bright features on an uneven, shifted background.
    """
    random = np.random.default_rng(0)
    classes = random.permutation(np.repeat([0, 1, 2], [100, 70, 30]))
    embeddings = random.standard_normal((200, width)) * np.linspace(0.1, 3, width) + 5
    for number in range(3):
        embeddings[:, number::3] += (classes == number)[:, np.newaxis] * np.linspace(0.2, 3, width)[
            number::3
        ]
    rows = np.arange(200)
    return embeddings.astype(np.float16), classes, rows < 140, (rows >= 140) & (rows < 170)
