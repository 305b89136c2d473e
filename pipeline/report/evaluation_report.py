"""An evaluation told: as words and tables for a terminal, as rows for CSV, as a page."""

from dataclasses import asdict, dataclass

import pandas as pd

from pipeline.learn.evaluate import SLICES, Group, HeadEvaluation
from pipeline.model.scores.metrics import Estimate
from pipeline.report.evaluation_html import EvaluationPage, Table, render
from pipeline.store.base import Store
from pipeline.store.model_cards import UNSAID

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
AT = "_at_"


@dataclass(frozen=True)
class EvaluationText:
    """An evaluation for people to read."""

    before: tuple[str, ...]
    proof: tuple[str, ...]
    tables: tuple[Table, ...]
    after: tuple[str, ...]


def format_evaluation(found: HeadEvaluation) -> EvaluationText:
    """Lines and tables, in the order in which they are to be read."""
    whole, *others = found.groups
    classes = [group for group in others if group.kind == "class"]
    slices = [group for group in others if group.kind != "class"]
    tables = [_whole(whole)]
    if classes:
        tables.append(_groups("Each class against the rest", classes))
    if slices:
        tables.append(_groups("By slice", slices))
    return EvaluationText(_before(found, whole), found.proof, tuple(tables), _after(found))


def _before(found: HeadEvaluation, whole: Group) -> tuple[str, ...]:
    card = found.card
    lines = [
        f"Head {card['head']} on trunk {card['trunk']}, classes {', '.join(card['classes'])}.",
        f"Test side only: {_support(whole)}, `{card['normal_class']}` against the rest; 95 % "
        "intervals over patients, drawn 1000 times with replacement. Thresholds come from the "
        f"validation side; flagged from {card['threshold']:.3f} on. PPV is for a prevalence of "
        f"{whole.prevalence:.3g}.",
    ]
    if found.left_out:
        lines.append(
            f"{found.left_out} test crops were left out, because their scans look like scans of "
            "another side."
        )
    if found.unknown:
        lines.append(
            f"{found.unknown} test crops carry a label that the head never learned; they count as "
            "abnormal."
        )
    return tuple(lines)


def _after(found: HeadEvaluation) -> tuple[str, ...]:
    lines = []
    if found.hidden:
        counts = ", ".join(f"{count} of {SLICES.get(k, k)}" for k, count in found.hidden.items())
        lines.append(f"Hidden, having fewer than ten patients: {counts}.")
    lines.append(
        "Calibration error: ten bins of equal width; beside it, instead of a guess, what a "
        "perfectly calibrated score would show on as many crops. `reached` is the specificity on "
        "the test side; of a class, PPV is for its share of the test crops."
    )
    return tuple(lines)


def _whole(group: Group) -> Table:
    rows = [
        (_measure(name), *_parts(estimate), _number(estimate.baseline))
        for name, estimate in group.estimates.items()
    ]
    return Table("All test crops", ("measure", "value", "95 % interval", "a guess"), tuple(rows))


def _groups(title: str, groups: list[Group]) -> Table:
    # The specificities reached stand with the sensitivities; CSV has every number.
    names = [name for name in groups[0].estimates if not name.startswith("specificity")]
    names.remove("sensitivity")
    rows = []
    for group in groups:
        cells = {
            name: "\n".join(part for part in _parts(group.estimates[name]) if part)
            for name in names
        }
        for name in names:
            if AT in name:
                reached = group.estimates[name.replace("sensitivity", "specificity")]
                cells[name] += f"\n(reached {_number(reached.value)})"
        if group.kind == "class":
            cells["ppv"] += f"\n(of {group.prevalence:.2f})"
        kind = SLICES.get(group.kind, group.kind)
        rows.append((f"{kind}\n{group.name}", _support(group, "\n"), *cells.values()))
    return Table(title, ("of", "support", *map(_measure, names)), tuple(rows))


def _measure(name: str) -> str:
    """`sensitivity_at_0.9` is told as `sensitivity at specificity 0.9`."""
    measure, at, share = name.partition(AT)
    if not at:
        return MEASURES[name]
    if measure == "sensitivity":
        return f"sensitivity at specificity {share}"
    return f"specificity reached, {share} asked"


def _support(group: Group, between: str = ", ") -> str:
    kind = "of it" if group.kind == "class" else "abnormal"
    counts = f"{group.rows} crops", f"{group.positive} {kind}", f"{group.patients} patients"
    return between.join(counts)


def _parts(estimate: Estimate) -> tuple[str, str]:
    """A value and its interval, or why one is missing."""
    if estimate.low is None:
        return _number(estimate.value), estimate.reason or ""
    return _number(estimate.value), f"{estimate.low:.2f}–{estimate.high:.2f}"


def _number(value: float | None) -> str:
    return UNSAID if value is None else f"{value:.2f}"


def as_rows(found: HeadEvaluation) -> pd.DataFrame:
    """One row per group and measure, with support, interval, baseline and prevalence."""
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


def write_page(store: Store, found: HeadEvaluation) -> str:
    """Write the page of the evaluation, for its owner alone to read, and return its name."""
    words = format_evaluation(found)
    page = EvaluationPage(
        head=found.card["head"],
        before=words.before,
        proof=words.proof,
        tables=words.tables,
        after=words.after,
        roc=found.roc,
        reliability=found.reliability,
    )
    name = f"reports/evaluation-{found.card['head']}.html"
    store.write_bytes(name, render(page).encode(), mode=0o600)
    return name
