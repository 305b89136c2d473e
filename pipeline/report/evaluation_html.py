"""The page of one head's evaluation as one HTML text that needs nothing but itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.model.scores.evaluation import Bin
from pipeline.report import svg_charts


class Table(NamedTuple):
    """A table of texts; a line break in a cell parts a number from what stands below it."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class EvaluationPage:
    """Everything that is on the page."""

    head: str
    before: Sequence[str]
    proof: Sequence[str]
    tables: Sequence[Table]
    after: Sequence[str]
    roc: Sequence[tuple[float, float]]  # empty when the test rows hold one kind only
    reliability: Sequence[Bin]


def render(page: EvaluationPage) -> str:
    """The HTML of `page`; the same page gives the same text."""
    place = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(place),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("evaluation.html.j2").render(
        page=page,
        style=Markup((place / "page.css").read_text()),
        roc=Markup(svg_charts.roc(page.roc)) if page.roc else None,
        reliability=Markup(svg_charts.reliability(page.reliability)),
    )
