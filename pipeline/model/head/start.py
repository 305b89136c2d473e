"""What a head begins with: the network under which its trunk was learned.

The two are learned together from crops that are moved, turned and exposed anew in every epoch. A
head that begins from random weights sees nothing but stored embeddings, of crops that the trunk
knows by heart: over five grouped folds of 601 crops it reached an AUROC of 0.84, this one 0.87.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class InitialWeights:
    """Weights of `head_layers.shared` for raw embeddings, and the classes of its last layer."""

    class_names: tuple[str, ...]
    weights: tuple[np.ndarray, ...]

    def for_classes(self, class_names: Sequence[str]) -> list[np.ndarray]:
        """Its weights for these classes; one that it does not know begins with zeros."""
        *before, kernel, bias = self.weights
        columns = np.zeros((len(kernel), len(class_names)), np.float32)
        offsets = np.zeros(len(class_names), np.float32)
        for number, name in enumerate(class_names):
            if name in self.class_names:
                known = self.class_names.index(name)
                columns[:, number], offsets[number] = kernel[:, known], bias[known]
        return [*before, columns, offsets]

    def fits(self, weights: Sequence[np.ndarray]) -> bool:
        """Whether it has the form of these weights, but for the number of classes."""
        ours, theirs = ([array.shape for array in each[:-2]] for each in (self.weights, weights))
        return ours == theirs

    def to_bytes(self) -> bytes:
        """As an .npz file."""
        data = io.BytesIO()
        weights = {f"weight{number:02d}": array for number, array in enumerate(self.weights)}
        np.savez(data, class_names=np.array(self.class_names), **weights)
        return data.getvalue()


def from_bytes(data: bytes) -> InitialWeights:
    """What `to_bytes` made."""
    with np.load(io.BytesIO(data)) as found:
        names = sorted(name for name in found.files if name.startswith("weight"))
        classes = tuple(str(name) for name in found["class_names"])
        return InitialWeights(classes, tuple(found[name] for name in names))
