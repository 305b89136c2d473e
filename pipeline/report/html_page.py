"""What all HTML pages share: templates, style sheet, charts and tables, and the content policy.

A page is one self-contained file that loads nothing and runs no script but its own. Text that is
passed to a template is escaped.
"""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from pipeline.report.format_numbers import format_count, format_counts

TEMPLATES = Path(__file__).parent / "templates"


class Table(NamedTuple):
    """A table of text cells; lines of a cell after the first are details, shown smaller."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@cache
def theme() -> str:
    """The style sheet that all pages share: colours for light and dark mode, and small parts."""
    return (TEMPLATES / "theme.css").read_text(encoding="utf-8")


@cache
def _style() -> str:
    return theme() + (TEMPLATES / "page.css").read_text(encoding="utf-8")


def content_policy(style: str, script: str | None = None, images: str = "data:") -> str:
    """Return the policy of a page with one style sheet and at most one script, by their digests."""
    scripts = f" script-src {_digest(script)};" if script else ""
    return (
        f"default-src 'none';{scripts} style-src {_digest(style)}; img-src {images}; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def render_template(name: str, **values) -> str:
    """Return the HTML of a template; equal values give equal text."""
    style = _style()
    return _template(name).render(style=Markup(style), policy=content_policy(style), **values)


@cache  # compiling one takes half as long as all queries of a page
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "format_count": format_count,
        "format_counts": format_counts,
        "image_url": image_url,
    }
    return environment.get_template(name)


def image_url(data: bytes) -> str:
    """Return an address that holds the bytes of a JPEG or PNG."""
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
