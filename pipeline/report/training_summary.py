"""Terminal summaries of training a head, cross-validation and learning a trunk.

Scores are those of the test side, with 95 % intervals, support and baselines.
"""

from typing import TYPE_CHECKING

from pipeline.config import Settings
from pipeline.report.format_numbers import (
    CARD_MEASURES,
    MEASURES,
    METHODS,
    format_counts,
    format_estimate,
    format_score,
    format_support,
)
from pipeline.report.next_command import next_command

if TYPE_CHECKING:
    from pipeline.learn.learn_trunk import LearnedTrunkResult


def format_training(card: dict, promoted: bool, why: str, settings: Settings) -> list[str]:
    """Return what training a head achieved, line by line."""
    evaluation = card["scores"]["head"]
    lines = [
        f"Head {card['head']} on trunk {card['trunk']}, classes {', '.join(card['classes'])}",
        *card["split"].splitlines(),
        f"Trained on {format_counts(card['region_kinds'])} crops. Scores below: test side only, "
        f"{format_support(evaluation)}, `{card['normal_class']}` against the rest, 95 % intervals "
        "over patients; the threshold comes from the validation side.",
    ]
    lines += score_lines(card["scores"], card["differences"])
    baselines = [evaluation["estimates"][measure]["baseline"] for measure in CARD_MEASURES]
    lines.append(_row("chance", ["" if each is None else format_score(each) for each in baselines]))
    lines += format_comparison(card["differences"])
    lines += ["", "Confusion matrix on the test side (rows: true class, columns: predicted)"]
    lines.append(_row("", [*card["classes"], "support"]))
    for name, counts, support in zip(
        card["classes"], evaluation["confusion"], evaluation["support"], strict=True
    ):
        lines.append(_row(name, [*map(str, counts), str(support)]))
    verdict = "Promoted" if promoted else "Not promoted"
    lines += ["", *format_head_score(card), f"{verdict}: {why}."]
    return [*lines, f"Next: {next_command('worklist', settings)}"]


def format_cross_validation(record: dict, name: str, settings: Settings) -> list[str]:
    """Return the scores of all folds together, line by line."""
    return [
        f"Cross-validation over {record['folds']} folds of patients, trunk {record['trunk']}, "
        f"classes {', '.join(record['classes'])}",
        "Every crop is scored by models that were trained without its patient: "
        f"{format_support(record)}, `{record['classes'][0]}` against the rest, 95 % intervals over "
        "patients; thresholds come from the validation side of each fold, and AUROC ranks crops "
        "within their fold.",
        *score_lines(record["scores"], record["differences"]),
        *format_comparison(record["differences"]),
        *format_learning_curve(record["learning_curve"]),
        f"Time: {record['seconds']:.0f} s. Written to {settings.store}/{name}",
        f"Next: {next_command('train', settings)}",
    ]


def format_learning_curve(curve: list[dict]) -> list[str]:
    """Return whether more labelled patients are likely to help, in two sentences."""
    if not curve:
        return []
    points = "; ".join(f"{each['patients']}: {format_estimate(each['auroc'])}" for each in curve)
    half = curve[-2]
    gain = half["gain_of_all"]
    verdict = (
        "the head still gains from more labelled patients"
        if (gain["low"] or 0) > 0
        else "a gain from more labelled patients is not shown"
    )
    return [
        f"AUROC of the head by labelled training patients: {points}.",
        f"From {half['patients']} to {curve[-1]['patients']} patients it changed by "
        f"{format_estimate(gain, '+.2f')}: {verdict}.",
    ]


def score_lines(scores: dict, differences: dict) -> list[str]:
    """Return one line per method: its scores, and the lead of the head over it in AUROC."""
    lines = [_row("", [*(MEASURES[name] for name in CARD_MEASURES), "AUROC lead of head"])]
    for method, name in METHODS.items():
        if method in scores:
            estimates = scores[method]["estimates"]
            cells = [format_estimate(estimates[measure]) for measure in CARD_MEASURES]
            if method in differences:
                cells.append(format_estimate(differences[method], "+.2f"))
            lines.append(_row(name, cells))
    return lines


def format_comparison(differences: dict) -> list[str]:
    """Return the result of comparing the head with its baselines, in sentences."""
    better = [METHODS[name] for name, found in differences.items() if (found["low"] or 0) > 0]
    others = [METHODS[name] for name in differences if METHODS[name] not in better]
    lines = []
    if better:
        lines.append(f"The head is better, with an interval above zero, than: {'; '.join(better)}.")
    if others:
        lines.append(f"Not shown to be better than: {'; '.join(others)}.")
    if "pixels" not in differences:
        lines.append("HOG and pixels were not measured: the crops of these rows were deleted.")
    return lines


def format_learned_trunk(learned: "LearnedTrunkResult", settings: Settings) -> list[str]:
    """Return what learning a trunk achieved, what took how long and the next step, line by line."""
    card, store = learned.card, settings.store
    rows = f"{card['rows']['train']} crops of {card['patients']['train']} patients"
    if learned.labels:
        best = card["epochs"][card["best_epoch"] - 1]["validation_auroc"]
        how = (
            f"with the labels of {rows}; kept epoch {card['best_epoch']} of "
            f"{len(card['epochs'])}, chosen by a validation AUROC of {best:.2f}, which is no test "
            "score"
        )
    else:
        how = f"from {rows} without their labels"
    lines = [f"Trunk {card['trunk']} was learned {how}."]
    lines.append(f"  features    {store}/features/{card['trunk']}")
    lines += [f"  FAILED      {failure}" for failure in learned.failures]
    spent = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in learned.seconds.items())
    lines.append(f"  time        {sum(learned.seconds.values()):.1f} s: {spent}")
    if learned.failures:
        where = f"{settings.private_folder}/messages.log"
        return [*lines, f"Next: see {where}, then run the same command again"]
    if learned.trained is None:
        lines.append(f"No head was trained on it. {learned.no_head}")
        return [*lines, f"Next: {next_command('query trunks', settings)}"]
    trained = learned.trained
    return [
        *lines,
        "",
        *format_training(trained.card, trained.promoted, trained.words, settings),
    ]


def format_head_score(card: dict) -> list[str]:
    """Return the AUROC of the head and of the best baseline, and what to do when it is behind."""
    scores = {method: found["estimates"]["auroc"] for method, found in card["scores"].items()}
    head = scores.pop("head")
    measured = {name: found for name, found in scores.items() if found["value"] is not None}
    if head["value"] is None:
        return [
            "The head has no AUROC: the test side lacks crops of one kind. Label more patients."
        ]
    line = f"Head: AUROC {format_estimate(head)} on the test side"
    if not measured:
        return [f"{line}."]
    best = max(measured, key=lambda name: measured[name]["value"])
    lines = [f"{line}; best baseline, {METHODS[best]}: {format_estimate(measured[best])}."]
    if head["value"] < measured[best]["value"]:
        lines.append(
            "The head is behind that baseline: label more patients, or learn a trunk "
            "from your own scans, unless this one was: `dental learn-trunk`."
        )
    return lines


def _row(name: str, cells) -> str:
    return (
        f"  {name:<38}"
        + "".join(f"{cell:>19}" for cell in cells[:5])
        + "".join(f"{cell:>27}" for cell in cells[5:])
    )
