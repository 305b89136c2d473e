"""Temperature scaling: one number that calibrates the probabilities of a head.

Logits divided by a temperature above 1 give less extreme probabilities; the order of the classes
stays. It is fitted on validation rows alone, on the probabilities given that there is a tooth.
Source: Guo et al., "On Calibration of Modern Neural Networks", arXiv:1706.04599.
"""

import numpy as np
from scipy.optimize import minimize_scalar

LOWEST, HIGHEST = 0.05, 20.0  # bounds for validation rows that are all right, or too few
SMALLEST = 1e-7  # probability whose logarithm is taken instead of that of zero


def fit_temperature(probabilities: np.ndarray, classes: np.ndarray) -> float:
    """Return the temperature with the lowest mean negative log-likelihood of `classes` (N,).

    `probabilities` are (N, classes), with at least one row.
    """
    logits = np.log(np.maximum(probabilities, SMALLEST).astype(np.float64))
    rows = np.arange(len(classes))

    def loss(log_temperature: float) -> float:
        scaled = softmax_at(logits, np.exp(log_temperature))
        return -np.log(scaled[rows, classes]).mean()

    found = minimize_scalar(loss, bounds=np.log([LOWEST, HIGHEST]), method="bounded")
    return float(np.exp(found.x))


def calibrated(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (N, classes) with their logits divided by a temperature."""
    return softmax_at(np.log(np.maximum(probabilities, SMALLEST)), temperature)


def softmax_at(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (N, classes) of logits (N, classes) at a temperature."""
    logits = logits / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.maximum(powers / powers.sum(axis=1, keepdims=True), SMALLEST)
