"""`dental query`: named queries over a store."""

from typing import Annotated

import typer

from pipeline.cli.app import LOOK, CsvOption, JsonOption, StoreOption, commands, settings_of
from pipeline.cli.output import print_csv, show


@commands.command("query", rich_help_panel=LOOK)
def query(
    name: Annotated[str | None, typer.Argument(help="A named query; without one: a list.")] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Argument(help="Parameters as NAME=VALUE, such as k=5. Ids may be shortened."),
    ] = None,
    store: StoreOption = None,
    csv: CsvOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a named query over the store and print its rows; without a name, list the queries."""
    from pipeline.store import catalog
    from pipeline.store.short_ids import resolve_parameters

    known = catalog.queries()
    if name is None:
        _print_queries(known, as_json)
        return
    if name not in known:
        from pipeline.config import nearest
        from pipeline.errors import ConfigError

        raise ConfigError(f"There is no query `{name}`. {nearest(name, list(known))}")
    given = dict(_pair(parameter) for parameter in parameters or [])
    settings = settings_of(store)
    if "double_read" in known[name].parameters:
        given = {"double_read": settings.double_read} | given
    with catalog.open_store(settings.store) as con:
        rows = catalog.query(con, name, **resolve_parameters(con, given))
    if csv:
        print_csv(rows)
        return
    from pipeline.cli.print_table import print_rows

    show(rows, as_json, lambda: print_rows(list(rows.columns), list(rows.itertuples(index=False))))


def _pair(parameter: str) -> tuple[str, str]:
    from pipeline.errors import ConfigError

    name, equals, value = parameter.partition("=")
    if not equals:
        raise ConfigError(f"`{parameter}` is no parameter; write NAME=VALUE, such as k=5.")
    return name, value


def _print_queries(known: dict, as_json: bool) -> None:
    from pipeline.cli.print_table import print_rows
    from pipeline.store.catalog import REQUIRED, TOPICS

    values = [
        {
            "query": name,
            "topic": each.topic,
            "parameters": {
                key: None if value is REQUIRED else value for key, value in each.parameters.items()
            },
            "required": [key for key, value in each.parameters.items() if value is REQUIRED],
            "answers": each.description,
        }
        for name, each in known.items()
    ]
    # By topic, as the list is read; within one by name.
    values.sort(key=lambda row: TOPICS.index(row["topic"]))

    def print_topics() -> None:
        for topic in TOPICS:
            rows = [
                (row["query"], " ".join(row["parameters"]), row["answers"])
                for row in values
                if row["topic"] == topic
            ]
            print_rows([topic, "parameters", "answers"], rows, prose="answers")
        print("Run one: dental query NAME key=value …")

    show(values, as_json, print_topics)
