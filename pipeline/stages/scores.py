"""A head's scores in words: test side only, with intervals, support and baselines."""

from pipeline.config import Settings

METHODS = {
    "head": "dense/softmax head",
    "probe": "logistic regression on embeddings",
    "pixels": "logistic regression on 32 × 32 pixels",
}
MEASURES = ("auroc", "auprc", "f1", "sensitivity", "specificity")


def trained_in_words(card: dict, promoted: bool, why: str, settings: Settings) -> list[str]:
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
        _row("", MEASURES),
    ]
    for method, words in METHODS.items():
        if method in card["scores"]:
            found = card["scores"][method]["estimates"]
            lines.append(_row(words, [_estimate(found[measure]) for measure in MEASURES]))
    guess = [evaluation["estimates"][measure]["baseline"] for measure in MEASURES]
    lines.append(_row("a guess", ["" if value is None else f"{value:.2f}" for value in guess]))
    if "pixels" not in card["scores"]:
        lines.append("32 × 32 pixels were not measured: the crops of these rows were deleted.")
    lines += ["", "Confusion matrix on the test side (rows: true class, columns: predicted)"]
    lines.append(_row("", [*card["classes"], "support"]))
    for name, counts, support in zip(
        card["classes"], evaluation["confusion"], evaluation["support"], strict=True
    ):
        lines.append(_row(name, [*map(str, counts), str(support)]))
    verdict = "Promoted" if promoted else "Not promoted"
    where = "" if settings.store == "data/store" else f" STORE={settings.store}"
    return [*lines, "", f"{verdict}: {why}.", f"Next: make query Q=worklist{where}"]


def _row(name: str, cells) -> str:
    return f"  {name:<38}" + "".join(f"{cell:>19}" for cell in cells)


def _estimate(estimate: dict) -> str:
    if estimate["value"] is None:
        return "-"
    if estimate["low"] is None:
        return f"{estimate['value']:.2f}"
    return f"{estimate['value']:.2f} ({estimate['low']:.2f}-{estimate['high']:.2f})"
