"""The command `dental`: its groups, options that several commands take, and the store they open.

Nothing slow is imported here: help, completion and the first line of a run come at once.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from typer.core import TyperGroup

from pipeline.errors import ConfigError
from pipeline.paths import expand_path

if TYPE_CHECKING:
    from pipeline.config import Settings

# Headings of `dental --help`, in the order in which their first command is added.
RUN, LOOK, LEARN, KEEP = "Run", "Look", "Learn", "Keep house"


class DefaultCommandGroup(TyperGroup):
    """A group whose first command runs when none is named."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        completing = ctx.resilient_parsing and not args  # the name of a command
        return super().parse_args(ctx, args if completing else self.with_default(args))

    def with_default(self, args: list[str]) -> list[str]:
        """The arguments with a command in front, unless they ask for the group's own help."""
        if args and (args[0] in self.commands or args[0] == "--help"):
            return args
        return [next(iter(self.commands)), *args]


commands = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Run a pipeline of dental X-rays and query its store. For research, not for diagnosis.",
)
trunk_commands = typer.Typer(no_args_is_help=True, help="About the feature extractor.")

Written = TypeVar("Written", str, Path, None)


def expanded(path: Written) -> Written:
    """The path of an argument or option with `~` and `$VAR` expanded; the callback of each."""
    if path is None:
        return None
    try:
        return type(path)(expand_path(str(path)))
    except ValueError as problem:
        raise ConfigError(f"{path}: {problem}.") from None


StoreOption = Annotated[
    str | None, typer.Option(callback=expanded, help="The store; default: setting `store`.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV.")]


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(f"dental-pipeline {version('dental-pipeline')}")
        raise typer.Exit


@commands.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


def load_settings(store: str | None) -> "Settings":
    """Settings, with the store that the command line names."""
    from pipeline import config

    return config.load(**({"store": store} if store else {}))


def settings_of(store: str | None) -> "Settings":
    """Settings of a store that exists, written by a version that this one can read."""
    from pipeline.store.store import Store
    from pipeline.store.store_json import read_store_json

    settings = load_settings(store)
    if not Store(settings.store).exists():
        raise ConfigError(
            f"There is no store {settings.store}. Make one with `dental run FOLDER`, or name "
            "yours: --store PATH"
        )
    read_store_json(Store(settings.store))
    return settings
