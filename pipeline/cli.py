"""The `dental` command: asks, looks and draws. What changes a store is done by `make`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline import config
from pipeline.errors import ConfigError, PipelineError

commands = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Ask about a store of dental X-ray features. For research, not for diagnosis.",
)
trunk_commands = typer.Typer(no_args_is_help=True, help="About the feature extractor.")
commands.add_typer(trunk_commands, name="trunk")

StoreOption = Annotated[str | None, typer.Option(help="The store; default: setting `store`.")]


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
    with catalog.open_store(_existing(store)) as con:
        rows = catalog.query(con, name, **given)
    if csv:
        rows.to_csv(sys.stdout, index=False)
        return
    table = Table(*map(str, rows.columns))
    for row in rows.itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    Console().print(table)


def _existing(store: str | None) -> str:
    place = config.load(**({"store": store} if store else {})).store
    if not Path(place).is_dir():
        raise ConfigError(
            f"There is no store {place}. Make one with make run-flow, or name yours: --store PATH"
        )
    return place


def _pair(parameter: str) -> tuple[str, str]:
    name, equals, value = parameter.partition("=")
    if not equals:
        raise ConfigError(f"`{parameter}` is no parameter; write NAME=VALUE, such as k=5.")
    return name, value


def _print_queries(known) -> None:
    table = Table("query", "parameters", "answers")
    for name, query in known.items():
        table.add_row(name, " ".join(query.parameters), query.description)
    Console().print(table)


def _cell(value) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.3f}"
    return "" if value is None else str(value)


@commands.command("phantoms")
def phantoms(
    out: Annotated[Path, typer.Argument(help="A folder to make; must be missing or empty.")],
    scans: Annotated[int, typer.Option(min=1, help="How many scans to draw.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other mouths.")] = 0,
    height: Annotated[
        int, typer.Option(min=100, help="Height of a panoramic in pixels; scales all.")
    ] = 1400,
) -> None:
    """Draw synthetic radiographs with planted anomalies: for demonstration, tests and load only."""
    from pipeline.imaging.phantoms import write_batch
    from pipeline.stages.progress import progress

    workers = config.load().workers
    with progress("draw", scans) as advance:
        summary = write_batch(out, scans, seed, height=height, workers=workers, progress=advance)
    print(
        f"{summary.scans} phantoms of {summary.patients} invented patients in {out}: "
        f"{_counted(summary.kinds)}; as {_counted(summary.formats)}; "
        f"planted {_counted(summary.planted)}."
    )
    print("Synthetic, for demonstration, tests and load: nobody's teeth, no evidence of anything.")
    print(f"Next: make run-flow BATCH={out}")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))


@trunk_commands.command("describe")
def describe() -> None:
    """Print the trunk's layers: output shape, parameters, multiply-adds, receptive field."""
    from pipeline.model import architecture

    settings = config.load()
    rows = architecture.describe(settings.trunk, settings.recipe.side)
    table = Table("layer", "output", "parameters", "multiply-adds", "receptive field")
    for row in [*rows, architecture.total(rows)]:
        table.add_row(
            row.name,
            " × ".join(map(str, row.output)),
            f"{row.parameters:,}",
            f"{row.multiply_adds:,}",
            f"{row.receptive_field} px",
        )
    Console().print(table)


def app() -> None:
    """Entry point: errors raised on purpose are told in their own words."""
    try:
        commands()
    except PipelineError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    app()
