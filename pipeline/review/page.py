"""HTML of the review page: as it is served, and what its server answers without a session."""

import json
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.report.html_page import content_policy, theme

FOLDER = Path(__file__).parent


@cache
def asset(name: str) -> str:
    """The text of the script, or of the style sheet with the colours that all pages share."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    return theme() + text if name.endswith(".css") else text


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page_html(reviewer: str) -> str:
    """The page that the server sends to a reviewer."""
    template = _templates().get_template("review.html.j2")
    return template.render(reviewer=reviewer, batch=None, data=None)


def login_html(refused: bool) -> str:
    """What a link answers: a step to the page, or that it is used up."""
    return _templates().get_template("login.html.j2").render(refused=refused)


def file_html(batch: str, data: dict) -> str:
    """The page as one self-contained file; it runs its own script alone and loads nothing."""
    script, style = asset("review.js"), asset("review.css")
    csp = content_policy(style, script, "data: blob:")
    # A `<` could end the element that holds the data.
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return (
        _templates()
        .get_template("review.html.j2")
        .render(
            reviewer="",
            batch=batch,
            csp=csp,
            style=Markup(style),
            script=Markup(script),
            data=Markup(text),
        )
    )
