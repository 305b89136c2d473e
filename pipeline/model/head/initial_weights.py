"""Initial weights of a head: those of the network under which its trunk was learned.

The two are learned together from crops that are moved, turned and exposed anew in every epoch. A
head that starts from random weights sees nothing but stored embeddings, of crops that the trunk
knows by heart: over five grouped folds of 601 crops it reached an AUROC of 0.84, this one 0.87.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class InitialWeights:
    """Weights of `layers.convolutional_network` for raw embeddings, and its classes."""

    class_names: tuple[str, ...]
    weights: tuple[np.ndarray, ...]

    def for_classes(self, class_names: Sequence[str]) -> list[np.ndarray]:
        """Return the weights for these classes; those of an unknown class are zeros."""
        *hidden, kernel, bias = self.weights
        columns = np.zeros((len(kernel), len(class_names)), np.float32)
        offsets = np.zeros(len(class_names), np.float32)
        for number, name in enumerate(class_names):
            if name in self.class_names:
                known = self.class_names.index(name)
                columns[:, number], offsets[number] = kernel[:, known], bias[known]
        return [*hidden, columns, offsets]

    def fits(self, weights: Sequence[np.ndarray]) -> bool:
        """Whether the shapes are those of `weights`, but for the number of classes."""
        ours, theirs = ([array.shape for array in each[:-2]] for each in (self.weights, weights))
        return ours == theirs

    def to_bytes(self) -> bytes:
        """Serialise as an .npz file."""
        data = io.BytesIO()
        weights = {f"weight{number:02d}": array for number, array in enumerate(self.weights)}
        np.savez(data, class_names=np.array(self.class_names), **weights)
        return data.getvalue()


def from_bytes(data: bytes) -> InitialWeights:
    """Read what `to_bytes` made."""
    with np.load(io.BytesIO(data)) as file:
        names = sorted(name for name in file.files if name.startswith("weight"))
        classes = tuple(str(name) for name in file["class_names"])
        return InitialWeights(classes, tuple(file[name] for name in names))
