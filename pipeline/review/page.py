"""HTML of the review page: as it is served, and what its server answers without a session."""

import base64
import hashlib
import json
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

FOLDER = Path(__file__).parent


@cache
def asset(name: str) -> str:
    """The text of the script or of the style sheet."""
    return (FOLDER / name).read_text(encoding="utf-8")


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
    csp = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
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


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
