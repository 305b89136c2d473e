"""A head's scores in words: test side only, with intervals, support and baselines."""

from typing import TYPE_CHECKING

from pipeline.config import Settings
from pipeline.report.next_command import next_command
from pipeline.store.model_cards import format_estimate

if TYPE_CHECKING:
    from pipeline.learn.learn_trunk import LearnedTrunkResult

METHODS = {
    "head": "dense/softmax head",
    "probe": "logistic regression on embeddings",
    "svm": "SVM on embeddings",
    "hog": "HOG + SVM on the crops",
    "pixels": "logistic regression on 32 × 32 pixels",
    "place": "place and size of the scan alone",
    "place_and_box": "and size of the annotated box",
}
MEASURES = ("auroc", "auprc", "f1", "sensitivity", "specificity")


def format_training(card: dict, promoted: bool, why: str, settings: Settings) -> list[str]:
    """Scores on the test side with their 95 % intervals, support and baselines, for a terminal."""
    evaluation = card["scores"]["head"]
    kinds = ", ".join(f"{count} {kind}" for kind, count in card["region_kinds"].items())
    lines = [
        f"Head {card['head']} on trunk {card['trunk']}, classes {', '.join(card['classes'])}",
        *card["split"].splitlines(),
        f"Learned from {kinds} crops. Scores below: test side only, {evaluation['rows']} crops "
        f"({evaluation['abnormal_rows']} abnormal) of {evaluation['patients']} patients, "
        f"`{card['normal_class']}` against the rest, 95 % intervals over patients; the threshold "
        "comes from the validation side.",
    ]
    lines += score_lines(card["scores"], card["differences"])
    guess = [evaluation["estimates"][measure]["baseline"] for measure in MEASURES]
    lines.append(_row("a guess", ["" if value is None else f"{value:.2f}" for value in guess]))
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
    """Scores of all folds together, with intervals, support and differences, for a terminal."""
    return [
        f"Cross-validation over {record['folds']} folds of patients, trunk {record['trunk']}, "
        f"classes {', '.join(record['classes'])}",
        f"Every crop is scored by methods that never saw its patient: {record['rows']} crops "
        f"({record['abnormal_rows']} abnormal) of {record['patients']} patients, "
        f"`{record['classes'][0]}` against the rest, 95 % intervals over patients; thresholds come "
        "from each fold's validation side, and an AUROC ranks crops within their fold.",
        *score_lines(record["scores"], record["differences"]),
        *format_comparison(record["differences"]),
        f"Time: {record['seconds']:.0f} s. Written to {settings.store}/{name}",
        f"Next: {next_command('train', settings)}",
    ]


def score_lines(scores: dict, differences: dict) -> list[str]:
    """One line per method: its scores, and how far the head is ahead of it in AUROC."""
    lines = [_row("", [*MEASURES, f"{'head ahead by':>22}"])]
    for method, words in METHODS.items():
        if method in scores:
            found = scores[method]["estimates"]
            cells = [_estimate(found[measure]) for measure in MEASURES]
            ahead = [_estimate(differences[method], "+.2f")] if method in differences else []
            lines.append(_row(words, cells + ahead))
    return lines


def format_comparison(differences: dict) -> list[str]:
    """What the comparison with the baselines comes to, in sentences."""
    ahead = [METHODS[name] for name, found in differences.items() if (found["low"] or 0) > 0]
    rest = [METHODS[name] for name in differences if METHODS[name] not in ahead]
    lines = []
    if ahead:
        lines.append(f"The head is ahead, with an interval above zero, of: {'; '.join(ahead)}.")
    if rest:
        lines.append(f"Not shown to be ahead of: {'; '.join(rest)}.")
    if "pixels" not in differences:
        lines.append("HOG and pixels were not measured: crops of these rows were deleted.")
    return lines


def format_learned_trunk(learned: "LearnedTrunkResult", settings: Settings) -> list[str]:
    """What learning a trunk brought, where the time went and what is next, for a terminal."""
    card, store = learned.card, settings.store
    rows = f"{card['rows']['train']} crops of {card['patients']['train']} patients"
    if learned.labels:
        best = card["epochs"][card["best_epoch"] - 1]["validation_auroc"]
        how = (
            f"with the labels of {rows}; kept epoch {card['best_epoch']} of "
            f"{len(card['epochs'])}, validation AUROC {best:.2f}, which chose it and is no score"
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
        lines.append(f"No head on it yet. {learned.no_head}")
        return [*lines, f"Next: {next_command('query trunks', settings)}"]
    trained = learned.trained
    words = format_training(trained.card, trained.promoted, trained.words, settings)
    return [*lines, "", *words]


def format_head_score(card: dict) -> list[str]:
    """The head's AUROC with its 95 % interval, the best baseline's, and what to do when behind."""
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
            "The head is behind that baseline: label more patients, or learn a trunk from your own "
            "scans with `dental learn-trunk`."
        )
    return lines


def _row(name: str, cells) -> str:
    return (
        f"  {name:<38}"
        + "".join(f"{cell:>19}" for cell in cells[:5])
        + "".join(f"{cell:>27}" for cell in cells[5:])
    )


def _estimate(estimate: dict, form: str = ".2f") -> str:
    if estimate["value"] is None:
        return "-"
    if estimate["low"] is None:
        return format(estimate["value"], form)
    low, high = format(estimate["low"], form), format(estimate["high"], form)
    between = " to " if form.startswith("+") else "-"
    return f"{estimate['value']:{form}} ({low}{between}{high})"
