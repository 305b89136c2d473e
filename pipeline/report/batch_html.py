"""The page of one batch as one HTML text that needs nothing but itself.

Whatever comes in as text is escaped. Places are source pixels, x to the right and y down.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from pipeline.report import model_facts, svg_charts

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One crop of the gallery."""

    crop_id: str
    region_kind: str
    place: tuple[int, int, int, int]  # x, y, width and height of the square that was cut
    tooth: int | None
    tooth_guess: int | None  # by its position alone
    tooth_confidence: float | None
    label: str | None  # the one in force
    p_abnormal: float | None = None  # None without a head, as are the next four
    predicted: str | None = None
    flagged: bool | None = None
    seen: bool | None = None
    audit: bool | None = None  # drawn for the audit, whatever its score
    png: bytes | None = None  # None when the crop was deleted
    scan: tuple[int, int] | None = None  # width and height; None when the crop was deleted

    @property
    def picture(self) -> str:
        """The picture as a data address."""
        return _address(self.png)


@dataclass(frozen=True, kw_only=True)
class Searched:
    """A panoramic without boxes, and where a tooth was looked for."""

    scan_id: str
    scan: tuple[int, int]  # width and height
    places: Sequence[tuple[int, int]]  # in the order of p(abnormal), where there is a head
    guesses: Sequence[int | None]  # which tooth each may be
    ranked: bool  # whether there is one
    png: bytes  # the scan put together from its crops

    @property
    def picture(self) -> str:
        """The picture as a data address."""
        return _address(self.png)


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
    evaluations: Mapping[str, Mapping]  # by method in words, the head first; empty without one
    unseen: Sequence[int]  # crops per bin of p_abnormal; empty without predictions
    seen: Sequence[int]
    flagged: int
    gallery: Sequence[Shown]  # in the order of the work-list, or examples without predictions
    searched: Sequence[Searched]  # some panoramics whose crops are still stored


def render(page: Page) -> str:
    """The HTML of `page`; the same page gives the same text."""
    return _template().render(
        page=page,
        style=Markup((HERE / "page.css").read_text()),
        measures=model_facts.MEASURES.values(),
        scores=model_facts.score_rows(page.evaluations),
        first_score=model_facts.first_score(page.evaluations) if page.evaluations else None,
        warnings=_warnings(page),
        facts=_facts(page),
        timing=Markup(svg_charts.timing(page.seconds)) if page.seconds else None,
        histogram=_histogram(page),
    )


@cache  # compiling it takes half as long as all queries of a page
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"counted": model_facts.format_count, "listed": model_facts.listed}
    return environment.get_template("batch.html.j2")


def _address(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


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
