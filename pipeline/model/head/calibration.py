"""One number that makes probabilities as sure as they are right: the temperature.

Logits divided by a temperature above 1 give less extreme probabilities; the order of the classes
stays. It is fitted on validation rows alone. Source: Guo et al., "On Calibration of Modern Neural
Networks", arXiv:1706.04599.
"""

import numpy as np
from scipy.optimize import minimize_scalar

LOWEST, HIGHEST = 0.05, 20.0  # where validation rows are all right or too few to tell
SMALLEST = 1e-7  # probability whose logarithm is taken instead of that of zero


def fit_temperature(probabilities: np.ndarray, classes: np.ndarray) -> float:
    """The temperature with the lowest mean negative log-probability of the true classes (N,).

    `probabilities` are (N, classes), of one row at least.
    """
    logits = np.log(np.maximum(probabilities, SMALLEST).astype(np.float64))

    def loss(log_temperature: float) -> float:
        return -np.log(softened(logits, np.exp(log_temperature))[rows, classes]).mean()

    rows = np.arange(len(classes))
    found = minimize_scalar(loss, bounds=np.log([LOWEST, HIGHEST]), method="bounded")
    return float(np.exp(found.x))


def softened(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (N, classes) of logits (N, classes) at a temperature."""
    logits = logits / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.maximum(powers / powers.sum(axis=1, keepdims=True), SMALLEST)
