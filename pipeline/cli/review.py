"""`dental review` and `dental page`: label crops in a browser, on this machine or from a file."""

import os
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import LEARN, StoreOption, commands, expanded, settings_of

review_commands = typer.Typer(
    invoke_without_command=True, help="Label crops in a browser; the page is served until Ctrl-C."
)
commands.add_typer(review_commands, name="review", rich_help_panel=LEARN)


@review_commands.callback()
def review(
    context: typer.Context,
    reviewer: Annotated[
        list[str] | None,
        typer.Option("--reviewer", help="Code of a reviewer, never a name; may be repeated."),
    ] = None,
    port: Annotated[int, typer.Option(help="Port of this machine; 0 for any.")] = 8123,
    store: StoreOption = None,
) -> None:
    """Label crops in a browser: prints a link for every reviewer, and serves until Ctrl-C.

    The server listens on this machine alone. Each link works once, in one browser. Every decision
    is in the store before the next crop is shown.
    """
    if context.invoked_subcommand is not None:
        return
    from pipeline.learn.decisions import checked_reviewer
    from pipeline.review.review import Review
    from pipeline.review.server import serve

    codes = list(dict.fromkeys(map(checked_reviewer, reviewer or ["me"])))
    opened = Review(settings_of(store))

    def announce(links: dict[str, str]) -> None:
        for code, link in links.items():
            print(f"{code:<16} {link}", flush=True)
        print("Each link works once. Ctrl-C stops; every decision is stored at once.", flush=True)

    serve(opened, codes, port, announce)


@commands.command("page", rich_help_panel=LEARN)
def page(
    batch: Annotated[str, typer.Argument(help="A batch of the store.")],
    out: Annotated[
        Path | None,
        typer.Argument(callback=expanded, help="The HTML file; default: in the store."),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write the review page of a batch as one file, to label its crops without this machine.

    It saves a table that `dental review import` takes. Audit crops are left out, since a file
    cannot keep their scores from a reader. It is health data, readable by you alone.
    """
    from pipeline.errors import ConfigError
    from pipeline.review.write_page import build_page, page_name
    from pipeline.store.store import Store

    settings = settings_of(store)
    data = build_page(settings, batch).encode()
    if out is None:
        opened, name = Store(settings.store), page_name(batch)
        opened.write_bytes(name, data, mode=0o600)
        print(f"{opened.address(name)} ({len(data) / 1e6:.1f} MB, health data)")
        return
    try:
        with open(out, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(data)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written ({error.strerror}); name another.") from None
    print(f"{out} ({len(data) / 1e6:.1f} MB, health data, readable by you alone)")
    print("`dental forget` does not reach this file: delete it when you forget a patient.")
