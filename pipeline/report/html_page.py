"""What all HTML pages share: templates, style sheet and tables. A page is one self-contained file.

Text that is passed to a template is escaped.
"""

import base64
from functools import cache
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from pipeline.report.format_numbers import format_count, format_counts

FOLDER = Path(__file__).parent


class Table(NamedTuple):
    """A table of text cells; lines of a cell after the first are details, shown smaller."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def render_template(name: str, **values) -> str:
    """Return the HTML of a template; equal values give equal text."""
    return _template(name).render(
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")), **values
    )


@cache  # compiling one takes half as long as all queries of a page
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "format_count": format_count,
        "format_counts": format_counts,
        "png_url": _png_url,
    }
    return environment.get_template(name)


def _png_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
