"""Questions to a store that named queries answer."""

import sys
from typing import Annotated

import typer

from pipeline.cli.app import StoreOption, commands, settings_of
from pipeline.cli.print_table import print_rows
from pipeline.errors import ConfigError


@commands.command("query")
def query(
    name: Annotated[str | None, typer.Argument(help="A named query; without one: a list.")] = None,
    parameters: Annotated[
        list[str] | None, typer.Argument(help="Parameters as NAME=VALUE, such as k=5.")
    ] = None,
    store: StoreOption = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """Run a named query over the store and print its rows."""
    from pipeline.store import catalog

    if name is None:
        _print_queries(catalog.queries())
        return
    given = dict(_pair(parameter) for parameter in parameters or [])
    with catalog.open_store(settings_of(store).store) as con:
        rows = catalog.query(con, name, **given)
    if csv:
        rows.to_csv(sys.stdout, index=False)
        return
    print_rows(list(rows.columns), list(rows.itertuples(index=False)))


def _pair(parameter: str) -> tuple[str, str]:
    name, equals, value = parameter.partition("=")
    if not equals:
        raise ConfigError(f"`{parameter}` is no parameter; write NAME=VALUE, such as k=5.")
    return name, value


def _print_queries(known) -> None:
    rows = [(name, " ".join(each.parameters), each.description) for name, each in known.items()]
    print_rows(["query", "parameters", "answers"], rows, prose="answers")
