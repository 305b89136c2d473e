"""The evaluation of a head: text and tables for terminal and page, and rows for CSV."""

from dataclasses import asdict, dataclass

import pandas as pd

from pipeline.learn.evaluate import SLICES, Group, HeadEvaluation
from pipeline.model.scores.metrics import Estimate
from pipeline.report.format_numbers import MEASURES, format_interval, format_score
from pipeline.report.html_page import Table

AT = "_at_"


@dataclass(frozen=True)
class EvaluationText:
    """An evaluation as text and tables, in reading order."""

    proof: tuple[str, ...]  # how patients and crops are split into sides
    before: tuple[str, ...]
    tables: tuple[Table, ...]  # all test crops first
    after: tuple[str, ...]


def format_evaluation(found: HeadEvaluation) -> EvaluationText:
    """Return the lines and tables of an evaluation."""
    whole, *others = found.groups
    classes = [group for group in others if group.kind == "class"]
    slices = [group for group in others if group.kind != "class"]
    tables = [_table_of_all(whole)]
    if classes:
        tables.append(_table_of_groups("Each class against the rest", classes))
    if slices:
        tables.append(_table_of_groups("By slice", slices))
    return EvaluationText(found.proof, _before(found, whole), tuple(tables), _after(found))


def _before(found: HeadEvaluation, whole: Group) -> tuple[str, ...]:
    card = found.card
    lines = [
        f"Head {card['head']} on trunk {card['trunk']}, classes {', '.join(card['classes'])}.",
        f"Test side only: {_support(whole)}, `{card['normal_class']}` against the rest; 95 % "
        "intervals over patients, from 1000 bootstrap samples. Thresholds come from the "
        f"validation side; crops are flagged from {card['threshold']:.3f}. PPV is for a prevalence "
        f"of {whole.prevalence:.3g}.",
    ]
    if found.left_out:
        lines.append(
            f"{found.left_out} test crops were left out because their scans look like scans of "
            "another side."
        )
    if found.unknown:
        lines.append(
            f"{found.unknown} test crops have a label that the head was not trained on; they count "
            "as abnormal."
        )
    return tuple(lines)


def _after(found: HeadEvaluation) -> tuple[str, ...]:
    lines = []
    if found.hidden:
        counts = ", ".join(f"{SLICES.get(k, k)} {count}" for k, count in found.hidden.items())
        lines.append(f"Groups of fewer than ten patients are not shown: {counts}.")
    lines.append(
        "Chance is the score of a classifier that ignores the image. Calibration error: ten bins "
        "of equal width; its chance column is the error that a perfectly calibrated score would "
        "show on as many crops. `reached` is the specificity on the test side. For a single class, "
        "PPV is for its share of the test crops."
    )
    return tuple(lines)


def _table_of_all(group: Group) -> Table:
    rows = [
        (
            _measure_name(name),
            format_score(estimate.value),
            format_interval(asdict(estimate)),
            format_score(estimate.baseline),
        )
        for name, estimate in group.estimates.items()
    ]
    return Table("All test crops", ("measure", "value", "95 % interval", "chance"), tuple(rows))


def _table_of_groups(title: str, groups: list[Group]) -> Table:
    # Specificities are shown with the sensitivities they belong to; CSV has every number.
    names = [name for name in groups[0].estimates if not name.startswith("specificity")]
    names.remove("sensitivity")
    rows = []
    for group in groups:
        cells = {name: _cell(group.estimates[name]) for name in names}
        for name in names:
            if AT in name:
                reached = group.estimates[name.replace("sensitivity", "specificity")]
                cells[name] += f"\n(reached {format_score(reached.value)})"
        if group.kind == "class":
            cells["ppv"] += f"\n(of {group.prevalence:.2f})"
        kind = SLICES.get(group.kind, group.kind)
        rows.append((f"{kind}\n{group.name}", _support(group, "\n"), *cells.values()))
    return Table(title, ("group", "support", *map(_measure_name, names)), tuple(rows))


def _measure_name(name: str) -> str:
    """Return `sensitivity at specificity 0.9` for `sensitivity_at_0.9`."""
    measure, at, share = name.partition(AT)
    if not at:
        return MEASURES[name]
    if measure == "sensitivity":
        return f"sensitivity at specificity {share}"
    return f"specificity reached for {share}"


def _support(group: Group, separator: str = ", ") -> str:
    kind = "of this class" if group.kind == "class" else "abnormal"
    counts = f"{group.rows} crops", f"{group.positive} {kind}", f"{group.patients} patients"
    return separator.join(counts)


def _cell(estimate: Estimate) -> str:
    lines = format_score(estimate.value), format_interval(asdict(estimate))
    return "\n".join(filter(None, lines))


def as_rows(found: HeadEvaluation) -> pd.DataFrame:
    """Return one row per group and measure, with support, interval, baseline and prevalence."""
    return pd.DataFrame(
        [
            {
                "head": found.card["head"],
                "kind": group.kind,
                "name": group.name,
                "measure": measure,
                **asdict(estimate),
                "rows": group.rows,
                "positive": group.positive,
                "patients": group.patients,
                "prevalence": group.prevalence,
            }
            for group in found.groups
            for measure, estimate in group.estimates.items()
        ]
    )
