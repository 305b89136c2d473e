"""`dental train`, `learn-trunk` and `cross-validate`: learn from what is stored."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.app import LEARN, JsonOption, StoreOption, commands
from pipeline.cli.run import finish, notices, start

if TYPE_CHECKING:
    from pipeline.store.open_store import OpenStore


@commands.command("train", rich_help_panel=LEARN)
def train(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Train a head on what is stored and labelled; promote it unless it is worse."""
    _open("training a head on", store, as_json, "No head was stored.")
    from flows.train import train as flow

    finish(flow, as_json=as_json)


@commands.command("learn-trunk", rich_help_panel=LEARN)
def learn_trunk(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Learn a trunk from what is stored, embed with it, promote it unless it is worse."""
    _open("learning a trunk from", store, as_json, "Finished epochs are kept.")
    from flows.learn_trunk import learn_trunk as flow

    finish(flow, as_json=as_json)


@commands.command("cross-validate", rich_help_panel=LEARN)
def cross_validate(
    store: StoreOption = None,
    folds: Annotated[int, typer.Option(min=2, help="How many groups of patients.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Measure head and baselines on every labelled crop, by folds of patients; changes no model."""
    _open("cross-validation on", store, as_json, "Finished folds are kept.")
    from flows.cross_validate import cross_validate as flow

    finish(flow, folds, as_json=as_json)


def _open(what: str, store: str | None, as_json: bool, kept: str) -> "OpenStore":
    """Print the first line, open the store, and have Ctrl-C say what is `kept`."""
    settings = start(what, store, as_json)
    from flows.run_flow import exit_on_signal, open_with_server

    opened = open_with_server(settings)
    exit_on_signal(lambda: kept, notices(as_json))
    return opened
