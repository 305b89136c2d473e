"""A head's scores in words: test side only, with intervals, support and baselines."""

from typing import TYPE_CHECKING

from pipeline.config import Settings

if TYPE_CHECKING:
    from pipeline.stages.learn_trunk import Learned

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


def learned_in_words(learned: "Learned", settings: Settings) -> list[str]:
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
        named = "" if store == "data/store" else f" STORE={store}"
        lines.append(f"No head on it yet. {learned.no_head}")
        return [*lines, f"Next: make query Q=trunks{named}"]
    trained = learned.trained
    words = trained_in_words(trained.card, trained.promoted, trained.words, settings)
    return [*lines, "", *words]


def _row(name: str, cells) -> str:
    return f"  {name:<38}" + "".join(f"{cell:>19}" for cell in cells)


def _estimate(estimate: dict) -> str:
    if estimate["value"] is None:
        return "-"
    if estimate["low"] is None:
        return f"{estimate['value']:.2f}"
    return f"{estimate['value']:.2f} ({estimate['low']:.2f}-{estimate['high']:.2f})"
