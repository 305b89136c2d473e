"""`dental status` and `nights`: did the last nightly run finish in time and well, and before?"""

import re
from datetime import timedelta
from typing import Annotated

import typer

from pipeline.cli.app import LOOK, CsvOption, JsonOption, StoreOption, commands, settings_of
from pipeline.cli.output import print_csv, show

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


@commands.command("nights", rich_help_panel=LOOK)
def nights(
    limit: Annotated[int, typer.Option(min=1, help="How many, from the newest on.")] = 30,
    store: StoreOption = None,
    csv: CsvOption = False,
    as_json: JsonOption = False,
) -> None:
    """List nightly runs, the newest first: what came, what was rejected, why one was not well."""
    import pandas as pd

    from pipeline.cli.print_table import print_rows
    from pipeline.report import night_record
    from pipeline.report.index_page import night_row
    from pipeline.report.print_lines import print_lines
    from pipeline.store.store import Store

    rows = [night_row(each) for each in night_record.nights(Store(settings_of(store).store), limit)]
    if csv:
        print_csv(pd.DataFrame(rows).assign(reasons=["; ".join(row["reasons"]) for row in rows]))
        return

    def print_text() -> None:
        if not rows:
            print("No nightly run has finished yet: dental nightly")
            return
        header = [name for name in rows[0] if name not in ("reasons", "status")]
        print_rows(header, [[row[name] for name in header] for row in rows])
        print_lines(f"{row['finished']}  {why}" for row in rows for why in row["reasons"])

    show(rows, as_json, print_text)


def duration(text: str) -> timedelta:
    """How long `26h`, `90m`, `45s` or `2d` is."""
    from pipeline.errors import ConfigError

    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None:
        raise ConfigError(f"--max-age is `{text}`, expected a number and s, m, h or d, like 26h.")
    return timedelta(**{UNITS[found[2]]: int(found[1])})
