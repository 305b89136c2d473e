"""What the cards of models say, in words for the page: facts, scores and warnings.

A card is the JSON that stands beside a stored model. Scores are those of `metrics.Evaluation`, by
method; "head" is the one that predicts, the others are what it has to beat.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

MEASURES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "f1": "F1",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
}
Facts = list[tuple[str, str]]


class Cell(NamedTuple):
    """One measure of one method."""

    value: str
    beside: str  # the interval, or why there is none
    guess: str


class Row(NamedTuple):
    """One method, measured on the test side."""

    method: str
    cells: list[Cell]
    support: str


def format_count(number: int) -> str:
    """A whole number with its thousands apart."""
    return f"{number:,}".replace(",", "\u202f")


def listed(counts: Mapping[str, int]) -> str:
    """Counts in one line, such as `3 box, 1 tooth`."""
    return ", ".join(f"{format_count(count)} {name}" for name, count in counts.items())


def trunk_facts(card: Mapping) -> Facts:
    """What the card of a trunk says about the trunk and its recipe."""
    recipe, layers = card["recipe"], card["settings"]["layers"]
    convolutions = ", ".join(
        f"{each['filters']}@{each['kernel']}×{each['kernel']}" for each in layers
    )
    return [
        ("Crops", f"{recipe['side']} × {recipe['side']} pixels"),
        ("Square on a panoramic", f"{recipe['panoramic_share']:g} of the scan's height"),
        ("Square on another scan", f"{recipe['other_share']:g} of the scan's shorter edge"),
        ("Convolutions", convolutions),
        ("Trunk's weights", card["weights"]),
        ("Trunk's parameters", format_count(card["parameters"])),
        ("Values per embedding", format_count(card["width"])),
        ("Trunk made", _made(card)),
    ]


def head_facts(card: Mapping, width: int) -> Facts:
    """What the card of a head on embeddings of `width` values says."""
    background = card.get("background_rows", 0)  # cards of earlier versions do not say it
    sizes = [width, *card["settings"]["units"], len(card["classes"]) + (background > 0)]
    parameters = sum((taken + 1) * given for taken, given in pairwise(sizes))
    return [
        ("Classes", f"{', '.join(card['classes'])} (normal: {card['normal_class']})"),
        ("Head's dense layers", " → ".join(map(str, sizes[1:]))),
        ("Head's parameters", format_count(parameters)),
        ("Labelled crops", f"{listed(card['rows'])}; learned from {listed(card['region_kinds'])}"),
        ("Places without a finding", format_count(background)),
        ("Flagged from", f"p(abnormal) {card['threshold']:.3f}"),
        ("Head made", _made(card)),
    ]


def score_rows(evaluations: Mapping[str, Mapping]) -> list[Row]:
    """The table of scores; keys are the methods in words."""
    return [
        Row(method, [_cell(found["estimates"][name]) for name in MEASURES], _support(found))
        for method, found in evaluations.items()
    ]


def first_score(evaluations: Mapping[str, Mapping]) -> str:
    """AUROC of the first method with its interval and what a guess reaches."""
    cell = _cell(next(iter(evaluations.values()))["estimates"]["auroc"])
    return f"AUROC {cell.value} ({cell.beside})" + (f", {cell.guess}" if cell.guess else "")


def warnings(card: Mapping, evaluations: Mapping[str, Mapping], kinds: Mapping) -> list[str]:
    """Reasons to trust the scores of a batch less; `kinds` counts its crops by region kind."""
    said = []
    known = card["region_kinds"]
    foreign = {kind: count for kind, count in kinds.items() if kind not in known}
    if set(foreign) == {"tooth"} and card.get("background_rows"):
        said.append(
            f"The scores were measured on {' and '.join(known)} crops; {listed(foreign)} crops of "
            "this batch lie where a tooth was found, not where one was marked. Trust their order "
            "more than their probabilities."
        )
    elif foreign:
        said.append(
            f"The head learned from {' and '.join(known)} crops; {listed(foreign)} crops of this "
            "batch are of a kind it did not learn from. Their scores and their order mean little."
        )
    (_, head), *others = evaluations.items()
    ours = head["estimates"]["auroc"]
    if ours["low"] is not None and ours["low"] <= ours["baseline"]:
        said.append(
            "The interval of the head's AUROC includes what a guess reaches: on these test "
            "patients the head was not shown to know anything."
        )
    for method, found in others:
        theirs = found["estimates"]["auroc"]["value"]
        if None not in (ours["value"], theirs) and theirs >= ours["value"]:
            said.append(
                f"The {method} reaches an AUROC of {theirs:.2f}, no less than the head's "
                f"{ours['value']:.2f}."
            )
    if reason := head["operating_point"]["reason"]:
        said.append(f"The threshold was set to 0.5, not chosen: {reason}.")
    return said


def _made(card: Mapping) -> str:
    return f"{card['made_at']} on {card['device']} with {card['backend']}"


def _support(evaluation: Mapping) -> str:
    rows, abnormal, patients = (
        format_count(evaluation[name]) for name in ("rows", "abnormal_rows", "patients")
    )
    return f"{rows} crops ({abnormal} abnormal), {patients} patients"


def _cell(estimate: Mapping) -> Cell:
    if estimate["value"] is None:
        return Cell("–", estimate["reason"], "")
    beside = estimate["reason"] or "no interval"
    if estimate["low"] is not None:
        beside = f"{estimate['low']:.2f} to {estimate['high']:.2f}"
    guess = "" if estimate["baseline"] is None else f"guess {estimate['baseline']:.2f}"
    return Cell(f"{estimate['value']:.2f}", beside, guess)
