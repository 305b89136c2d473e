"""Counts, scores and 95 % intervals as text, in one format for terminal, page and CSV.

An estimate is a mapping with the fields of `metrics.Estimate`, as model cards store it: value, low,
high, baseline (what chance reaches) and reason (why a number is missing).
"""

from collections.abc import Mapping

METHODS = {
    "head": "dense/softmax head",
    "probe": "logistic regression on embeddings",
    "svm": "SVM on embeddings",
    "hog": "HOG + SVM on the crops",
    "pixels": "logistic regression on 32 × 32 pixels",
    "place": "position and size of the scan alone",
    "place_and_box": "position and size of scan and box",
    "novelty_peak": "novelty by its peak, without findings",
    "novelty_mean": "novelty by its mean, without findings",
}
MEASURES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "f1": "F1",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV",
    "brier": "Brier score",
    "calibration_error": "calibration error",
}
CARD_MEASURES = ("auroc", "auprc", "f1", "sensitivity", "specificity")  # stored for every method
MISSING = "–"


def format_count(number: int) -> str:
    """Return a whole number with a thin space between thousands."""
    return f"{number:,}".replace(",", "\u202f")


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """Return a count and its noun, such as `2 crops`."""
    return f"{format_count(number)} {noun if number == 1 else nouns or noun + 's'}"


def format_counts(counts: Mapping[str, int]) -> str:
    """Return counts on one line, such as `3 box, 1 tooth`."""
    return ", ".join(f"{format_count(count)} {name}" for name, count in counts.items())


def format_support(scores: Mapping) -> str:
    """Return how many test crops and patients were measured, from a card's scores of a method."""
    rows, abnormal, patients = (
        format_count(scores[name]) for name in ("rows", "abnormal_rows", "patients")
    )
    return f"{rows} crops ({abnormal} abnormal) of {patients} patients"


def format_score(value: float | None, spec: str = ".2f") -> str:
    """Return a score, or a dash where it is missing."""
    return MISSING if value is None else format(value, spec)


def format_interval(estimate: Mapping, spec: str = ".2f") -> str:
    """Return an interval, such as `0.80–0.88`, or the reason why there is none."""
    if estimate["low"] is None:
        return estimate["reason"] or ""
    # A dash between signed numbers would look like a minus sign.
    dash = " to " if "+" in spec else "–"
    return f"{estimate['low']:{spec}}{dash}{estimate['high']:{spec}}"


def format_estimate(estimate: Mapping, spec: str = ".2f") -> str:
    """Return a score with its interval where there is one, such as `0.84 (0.80–0.88)`."""
    value = format_score(estimate["value"], spec)
    return value if estimate["low"] is None else f"{value} ({format_interval(estimate, spec)})"
