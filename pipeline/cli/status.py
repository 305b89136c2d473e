"""`dental status`: did the last nightly run finish in time, and well?"""

import re
from datetime import timedelta
from typing import Annotated

import typer

from pipeline.cli.app import LOOK, JsonOption, StoreOption, commands, settings_of
from pipeline.cli.output import show

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@commands.command("status", rich_help_panel=LOOK)
def status(
    max_age: Annotated[
        str, typer.Option(help="How long ago the last night may have finished: 26h, 90m, 2d.")
    ] = "26h",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Report how the last nightly run went; exit status 1 when it failed, or none came in time.

    For a watchdog on another machine: it notices a kill, a dead host and a schedule that rests.
    """
    from pipeline.report import night_record
    from pipeline.report.print_lines import print_lines
    from pipeline.store.store import Store

    longest = duration(max_age)
    settings = settings_of(store)
    night = night_record.last_night(Store(settings.store))
    late = night is None or night_record.age(night) > longest
    if night is None:
        lines = [f"LATE: no nightly run has ever finished in {settings.store}."]
    else:
        lines = night_record.format_night(night, settings)
        if late:
            lines.append(f"LATE: it finished at {night.finished_at}, more than {max_age} ago.")
    show({"late": late, "night": night}, as_json, lambda: print_lines(lines))
    if late or night.failures:
        raise typer.Exit(1)


def duration(text: str) -> timedelta:
    """How long `26h`, `90m`, `45s` or `2d` is."""
    from pipeline.errors import ConfigError

    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None:
        raise ConfigError(f"--max-age is `{text}`, expected a number and s, m, h or d, like 26h.")
    return timedelta(**{UNITS[found[2]]: int(found[1])})
