"""What all commands of `dental` share: the groups they belong to and the store they ask."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.store.base import Store

commands = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Ask about a store of dental X-ray features. For research, not for diagnosis.",
)
trunk_commands = typer.Typer(no_args_is_help=True, help="About the feature extractor.")
commands.add_typer(trunk_commands, name="trunk")

WIDE = 180  # columns for a file or a pipe, which have no width of their own

StoreOption = Annotated[str | None, typer.Option(help="The store; default: setting `store`.")]


def settings_of(store: str | None) -> config.Settings:
    """Settings of a store that must be there, written by a version that this one can read."""
    from pipeline.store.store_json import read_store_json

    settings = config.load(**({"store": store} if store else {}))
    if not Store(settings.store).exists():
        raise ConfigError(
            f"There is no store {settings.store}. Make one with make run-flow, or name yours: "
            "--store PATH"
        )
    read_store_json(Store(settings.store))
    return settings


def console() -> Console:
    """Where tables go."""
    return Console() if sys.stdout.isatty() else Console(width=WIDE)
