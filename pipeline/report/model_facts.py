"""Facts, scores and warnings about the models behind a batch, from their cards, as text.

A card is the JSON stored with a model. `evaluations` are the scores on a head's card by the name
of the method; the first is the head itself, the others are its baselines.
"""

from collections.abc import Mapping
from itertools import pairwise

from pipeline.report.format_numbers import (
    CARD_MEASURES,
    MEASURES,
    METHODS,
    format_count,
    format_counts,
    format_interval,
    format_score,
    format_support,
)
from pipeline.report.html_page import Table

Facts = list[tuple[str, str]]


def trunk_facts(card: Mapping) -> Facts:
    """Return names and values that describe a trunk and its recipe."""
    recipe, layers = card["recipe"], card["settings"].get("layers")
    convolutions = ", ".join(
        f"{each['filters']}@{each['kernel']}×{each['kernel']}" for each in layers or ()
    )
    return [
        ("Crops", f"{recipe['side']} × {recipe['side']} pixels"),
        ("Crop side on a panoramic", f"{recipe['panoramic_share']:g} × scan height"),
        ("Crop side on other scans", f"{recipe['other_share']:g} × shorter edge of the scan"),
        ("Convolutions", convolutions) if layers else ("Network", card["architecture"]),
        ("Trunk weights", card["weights"]),
        ("Trunk parameters", format_count(card["parameters"])),
        ("Values per embedding", format_count(card["width"])),
        ("Trunk created", _created(card)),
    ]


def head_facts(card: Mapping, width: int) -> Facts:
    """Return names and values that describe a head on embeddings of `width` values."""
    background = card.get("background_rows", 0)  # missing on cards of earlier versions
    sizes = [width, *card["settings"]["units"], len(card["classes"]) + (background > 0)]
    parameters = sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))
    trained_on = format_counts(card["region_kinds"])
    return [
        ("Classes", f"{', '.join(card['classes'])} (normal: {card['normal_class']})"),
        ("Head dense layers", " → ".join(map(str, sizes[1:]))),
        ("Head parameters", format_count(parameters)),
        ("Labelled crops", f"{format_counts(card['rows'])}; trained on {trained_on}"),
        ("Background crops", format_count(background)),
        ("Flagged from", f"p(abnormal) {card['threshold']:.3f}"),
        ("Head created", _created(card)),
    ]


def evaluations_of(card: Mapping) -> dict[str, dict]:
    """Return the scores on a head's card by the name of the method, the head first."""
    scores = card["scores"]
    return {name: scores[method] for method, name in METHODS.items() if method in scores}


def score_table(evaluations: Mapping[str, Mapping]) -> Table:
    """Return one row per method: each score with its interval and chance level, and the support."""
    measures = (MEASURES[name] for name in CARD_MEASURES)
    header = ("Method", *(f"{name[0].upper()}{name[1:]}" for name in measures), "Support")
    rows = tuple(
        (
            method,
            *(_cell(scores["estimates"][name]) for name in CARD_MEASURES),
            format_support(scores),
        )
        for method, scores in evaluations.items()
    )
    return Table("", header, rows)


def headline_score(evaluations: Mapping[str, Mapping]) -> str:
    """Return the AUROC of the first method, with its interval and chance level."""
    auroc = next(iter(evaluations.values()))["estimates"]["auroc"]
    text = f"AUROC {format_score(auroc['value'])} ({format_interval(auroc)})"
    return ", ".join(filter(None, (text, _chance(auroc))))


def warnings(card: Mapping, evaluations: Mapping[str, Mapping], kinds: Mapping) -> list[str]:
    """Return reasons to distrust the scores of a batch; `kinds` counts its crops by region kind."""
    found = _region_kind_warnings(card, kinds)
    (_, head), *others = evaluations.items()
    ours = head["estimates"]["auroc"]
    if ours["low"] is not None and ours["low"] <= ours["baseline"]:
        found.append(
            "The interval of the head's AUROC includes the chance level: on these test patients "
            "the head is not shown to be better than chance."
        )
    for method, scores in others:
        theirs = scores["estimates"]["auroc"]["value"]
        if None not in (ours["value"], theirs) and theirs >= ours["value"]:
            found.append(
                f"The {method} reaches an AUROC of {theirs:.2f}, no less than the "
                f"{ours['value']:.2f} of the head."
            )
    if reason := head["operating_point"]["reason"]:
        found.append(f"The threshold is the default of 0.5: {reason}.")
    return found


def _region_kind_warnings(card: Mapping, kinds: Mapping) -> list[str]:
    trained_on = card["region_kinds"]
    # Drawn boxes are cut like annotated ones.
    known = {*trained_on, "drawn"} if "box" in trained_on else {*trained_on}
    other = {kind: count for kind, count in kinds.items() if kind not in known}
    names, counts = " and ".join(trained_on), format_counts(other)
    if set(other) == {"tooth"} and card.get("background_rows"):
        return [
            f"The scores were measured on {names} crops, but {counts} crops of this batch were "
            "placed by the tooth search, not by an annotation. Their order is more reliable than "
            "their probabilities."
        ]
    if other:
        return [
            f"The head was trained on {names} crops, but {counts} crops of this batch are of a "
            "kind it was not trained on. Neither their scores nor their order are reliable."
        ]
    return []


def _created(card: Mapping) -> str:
    return f"{card['made_at']} on {card['device']} with {card['backend']}"


def _cell(estimate: Mapping) -> str:
    lines = format_score(estimate["value"]), format_interval(estimate), _chance(estimate)
    return "\n".join(filter(None, lines))


def _chance(estimate: Mapping) -> str:
    baseline = estimate["baseline"]
    return "" if None in (baseline, estimate["value"]) else f"chance {baseline:.2f}"
