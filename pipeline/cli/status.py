"""Watching over the nightly run: did it finish in time, and well?"""

import re
from datetime import timedelta
from typing import Annotated

import typer

from pipeline.cli.app import StoreOption, commands, settings_of
from pipeline.errors import ConfigError

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@commands.command("status")
def status(
    max_age: Annotated[
        str, typer.Option(help="How long ago the last night may have finished: 26h, 90m, 2d.")
    ] = "26h",
    store: StoreOption = None,
) -> None:
    """Tell how the last nightly run went; exit status 1 when it failed, or when none came in time.

    For a watchdog on another machine: it hears of a kill, a dead host and a schedule that rests.
    """
    from pipeline.report import night_record
    from pipeline.store.base import Store

    longest = duration(max_age)
    settings = settings_of(store)
    night = night_record.last_night(Store(settings.store))
    if night is None:
        print(f"LATE: no nightly run has ever finished in {settings.store}.")
        raise typer.Exit(1)
    print("\n".join(night_record.format_night(night, settings)))
    late = night_record.age(night) > longest
    if late:
        print(f"LATE: it finished at {night.finished_at}, more than {max_age} ago.")
    if late or night.failures:
        raise typer.Exit(1)


def duration(text: str) -> timedelta:
    """How long `26h`, `90m`, `45s` or `2d` is."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None:
        raise ConfigError(f"--max-age is `{text}`, expected a number and s, m, h or d, like 26h.")
    return timedelta(**{UNITS[found[2]]: int(found[1])})
