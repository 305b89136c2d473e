"""Trunks and heads in the store: what there is, two beside each other, and which one predicts."""

from typing import Annotated

import typer
from rich.table import Table

from pipeline.cli.app import StoreOption, commands, console, settings_of
from pipeline.errors import ConfigError


@commands.command("models")
def models(
    pair: Annotated[list[str] | None, typer.Argument(help="Two models to compare.")] = None,
    store: StoreOption = None,
) -> None:
    """List trunks and heads with what their cards say, or compare two of them side by side."""
    from pipeline.store import model_cards as stored
    from pipeline.store.base import Store

    opened = Store(settings_of(store).store)
    if not pair:
        _print_list(stored.list_models(opened))
        return
    if len(pair) != 2:
        raise ConfigError(f"{len(pair)} models were named; name two to compare, or none to list.")
    table = Table("", *pair)
    for name, first, second in stored.compare_models(opened, *pair):
        style = None if first == second else "bold"
        table.add_row(name, first, second, style=style)
    console().print(table)


def _print_list(rows: list[dict]) -> None:
    from pipeline.store.model_cards import UNSAID

    if not rows:
        print("No models yet. A batch makes its trunk, make train a head.")
        return
    said = ("architecture", "weights", "trunk", "data", "seed", "auroc", "test patients", "made")
    for kind in ("trunk", "head"):
        mine = [row for row in rows if row["kind"] == kind]
        # What no model of this kind tells needs no column.
        shown = [name for name in said if any(row[name] != UNSAID for row in mine)]
        table = Table(title=f"{kind}s", title_justify="left")
        table.add_column(kind, no_wrap=True)
        for name in shown:
            table.add_column(name)
        for row in mine:
            name = f"{row['model']}\nchampion" if row["champion"] else row["model"]
            table.add_row(name, *(row[each] for each in shown))
        console().print(table)
    print("More, side by side: dental models A B")


@commands.command("promote")
def promote(
    head: Annotated[
        str | None, typer.Argument(help="A head; without one: the newest that is no champion.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Make a head the champion, with its trunk and recipe, unless it is worse on the test side."""
    from pipeline.learn.promotion import promote as decide
    from pipeline.stages.predict import Head
    from pipeline.store.model_cards import newest_challenger, require_head
    from pipeline.store.open_store import open_for_writing

    settings = settings_of(store)
    opened = open_for_writing(settings).store
    head_id = require_head(opened, head) if head else newest_challenger(opened)
    decision = decide(opened, Head(opened, head_id), settings.near_duplicate_bits)
    verdict = "promoted" if decision.promoted else "not promoted"
    print(f"Head {head_id} was {verdict}: {decision.why}.")
    if not decision.promoted:
        raise typer.Exit(1)  # as for all that was not done; the words say why
