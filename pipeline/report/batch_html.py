"""HTML of the page of one batch, from what `batch_report` read from the store.

Positions are source pixels, x to the right and y down.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipeline.report import model_facts, svg_charts
from pipeline.report.html_page import render_template


@dataclass(frozen=True, kw_only=True)
class GalleryCrop:
    """One crop of the gallery."""

    crop_id: str
    region_kind: str
    box: tuple[int, int, int, int]  # x, y, width and height of the square that was cut
    tooth: int | None
    tooth_guess: int | None  # estimated from the position alone
    tooth_confidence: float | None
    label: str | None  # the current one
    p_abnormal: float | None = None  # None without a head, as are the next four
    predicted: str | None = None
    flagged: bool | None = None
    seen: bool | None = None
    audit: bool | None = None  # drawn for the audit, whatever its score
    png: bytes | None = None  # None when the crop was deleted
    scan_size: tuple[int, int] | None = None  # width and height; None when the crop was deleted


@dataclass(frozen=True, kw_only=True)
class SearchedScan:
    """A panoramic without boxes, and the positions that the tooth search cut crops at."""

    scan_id: str
    size: tuple[int, int]  # width and height
    centres: Sequence[tuple[int, int]]  # of the crops, in the order of p(abnormal) if ranked
    tooth_guesses: Sequence[int | None]  # for each crop
    ranked: bool  # whether a head scored the crops
    png: bytes  # the scan, reassembled from its crops


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything that is on the page; rows are dictionaries by column."""

    batch: str
    counts: Mapping[str, int]  # delivered, accepted, duplicate, rejected, crops, features, …
    failures: Sequence[str]
    broken_checks: Sequence[str]
    alerts: Sequence[str]  # how the batch differs from the reference
    notes: Sequence[str]
    rejections: Sequence[Mapping]  # reason, scans, example
    kinds: Sequence[Mapping]  # the rows of the query scan_kinds
    quality: Sequence[Mapping]  # flag, scans, rejected
    near_duplicates: int  # pairs of accepted scans that look alike
    problems: Mapping[str, int]  # label lines that could not be used, by kind
    regions: Mapping[str, int]  # crops with an embedding, by region kind
    balance: Sequence[Mapping]  # region_kind, label, crops, patients
    seconds: Mapping[str, float]  # by stage
    worked: Mapping[str, int]  # parts, by stage
    recipe: str
    trunk: str
    head: str | None
    trunk_card: Mapping | None  # None before the trunk was made
    head_card: Mapping | None
    evaluations: Mapping[str, Mapping]  # by name of the method, the head first; empty without one
    unseen: Sequence[int]  # crops per bin of p_abnormal; empty without predictions
    seen: Sequence[int]
    flagged: int
    gallery: Sequence[GalleryCrop]  # in work-list order, or examples without predictions
    searched: Sequence[SearchedScan]  # some panoramics whose crops are still stored


def render(page: Page) -> str:
    """Return the HTML of `page`; equal pages give equal text."""
    return render_template(
        "batch.html.j2",
        page=page,
        scores=model_facts.score_table(page.evaluations),
        headline=model_facts.headline_score(page.evaluations) if page.evaluations else None,
        warnings=_warnings(page),
        facts=_facts(page),
        timing=Markup(svg_charts.timing(page.seconds)) if page.seconds else None,
        histogram=_histogram(page),
    )


def _warnings(page: Page) -> list[str]:
    if page.head_card is None:
        return []
    return model_facts.warnings(page.head_card, page.evaluations, page.regions)


def _facts(page: Page) -> model_facts.Facts:
    facts = [("Recipe", page.recipe), ("Trunk", page.trunk)]
    if page.trunk_card:
        facts += model_facts.trunk_facts(page.trunk_card)
        if page.head_card:
            width = page.trunk_card["width"]
            facts += [("Head", page.head), *model_facts.head_facts(page.head_card, width)]
    return facts


def _histogram(page: Page) -> Markup | None:
    if not page.unseen:
        return None
    return Markup(svg_charts.histogram(page.unseen, page.seen, page.head_card["threshold"]))
