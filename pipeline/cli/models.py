"""`dental models` and `promote`: stored trunks and heads, and which of them predict."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import (
    LEARN,
    LOOK,
    DefaultCommandGroup,
    JsonOption,
    StoreOption,
    commands,
    expanded,
    settings_of,
)
from pipeline.cli.output import console, show

COLUMNS = ("architecture", "weights", "trunk", "data", "seed", "auroc", "test patients", "made")

models_commands = typer.Typer(
    cls=DefaultCommandGroup,
    help="List trunks and heads, compare two of them (`dental models A B`), or export a head.",
)
commands.add_typer(models_commands, name="models", rich_help_panel=LOOK)


@models_commands.command("list")
def models(
    pair: Annotated[
        list[str] | None, typer.Argument(help="Two models to compare; ids may be shortened.")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List trunks and heads with what is on their cards, or compare two of them side by side.

    `list` may be left out.
    """
    from pipeline.errors import ConfigError
    from pipeline.report.model_tables import compare_models, list_models
    from pipeline.store.store import Store

    opened = Store(settings_of(store).store)
    if not pair:
        rows = list_models(opened)
        show(rows, as_json, lambda: _print_list(rows))
        return
    if len(pair) != 2:
        raise ConfigError(f"{len(pair)} models were named; name two to compare, or none to list.")
    facts = compare_models(opened, *pair)
    values = [{"fact": name, "first": first, "second": second} for name, first, second in facts]
    show(values, as_json, lambda: _print_pair(pair, facts))


@models_commands.command("export")
def export(
    head: Annotated[str, typer.Argument(help="The head; its id may be shortened.")],
    out: Annotated[Path, typer.Argument(callback=expanded, help="The folder to make.")],
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Write model.onnx, for ONNX Runtime and others.")
    ] = False,
    keras: Annotated[
        bool, typer.Option("--keras", help="Write model.keras, for Keras 3 without this package.")
    ] = False,
    saved_model: Annotated[
        bool, typer.Option("--saved-model", help="Write saved_model/, which needs TensorFlow.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a head with its trunk as one network, from grey crops to calibrated probabilities.

    With it come model.json (recipe, classes, threshold, versions) and a model card. Name one format
    or several.
    """
    from pipeline.export.models.export_head import export_head
    from pipeline.stages.predict import Head
    from pipeline.store.model_ids import require_head
    from pipeline.store.store import Store

    settings = settings_of(store)
    opened = Store(settings.store)
    chosen = Head(opened, require_head(opened, head))
    requested = {"onnx": onnx, "keras": keras, "saved_model": saved_model}
    formats = [name for name, wanted in requested.items() if wanted]
    files = export_head(settings, chosen, formats, out)
    values = {"head": chosen.head_id, "out": out, "files": files}
    show(values, as_json, lambda: _print_export(chosen.head_id, out, files))


def _print_export(head_id: str, out: Path, files: list[str]) -> None:
    print(f"Head {head_id} with its trunk: {out} ({', '.join(files)})")
    print(
        "Its weights were learned from health data: set `license` in README.md before you share it."
    )
    print("For research, not for diagnosis.")


def _print_pair(pair: list[str], facts: list[tuple[str, str, str]]) -> None:
    from rich.table import Table

    table = Table("", *pair)
    for name, first, second in facts:
        table.add_row(name, first, second, style=None if first == second else "bold")
    console().print(table)


def _print_list(rows: list[dict]) -> None:
    from rich.table import Table

    from pipeline.report.format_numbers import MISSING

    if not rows:
        print("No models yet. A batch makes its trunk, `dental train` a head.")
        return
    for kind in ("trunk", "head"):
        of_kind = [row for row in rows if row["kind"] == kind]
        # A column that no model of this kind fills is left out.
        shown = [name for name in COLUMNS if any(row[name] != MISSING for row in of_kind)]
        table = Table(title=f"{kind}s", title_justify="left")
        table.add_column(kind, no_wrap=True)
        for name in shown:
            table.add_column(name, no_wrap=name == "trunk", overflow="fold")
        for row in of_kind:
            name = f"{row['model']}\nchampion" if row["champion"] else row["model"]
            table.add_row(name, *(row[each] for each in shown))
        console().print(table)
    print("More, side by side: dental models A B")


@commands.command("promote", rich_help_panel=LEARN)
def promote(
    head: Annotated[
        str | None, typer.Argument(help="A head; without one: the newest that is no champion.")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a head the champion, with its trunk and recipe, unless it is worse on the test side."""
    from pipeline.learn.promotion import promote as decide
    from pipeline.stages.predict import Head
    from pipeline.store.model_ids import newest_challenger, require_head
    from pipeline.store.open_store import open_for_writing

    settings = settings_of(store)
    opened = open_for_writing(settings).store
    head_id = require_head(opened, head) if head else newest_challenger(opened)
    decision = decide(opened, Head(opened, head_id), settings.near_duplicate_bits)
    verdict = "promoted" if decision.promoted else "not promoted"
    values = {"head": head_id, "promoted": decision.promoted, "why": decision.why}
    show(values, as_json, lambda: print(f"Head {head_id} was {verdict}: {decision.why}."))
    if not decision.promoted:
        raise typer.Exit(1)  # as for all that was not done
