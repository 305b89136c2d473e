"""Serve the nightly flow: a Prefect server on the loopback that runs it by a schedule."""

from datetime import timedelta
from threading import Thread

from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.types.entrypoint import EntrypointType

from flows.nightly import nightly
from flows.prefect_pages import tags_of
from pipeline.config import Settings
from pipeline.errors import ConfigError

Schedule = CronSchedule | IntervalSchedule


def schedule_of(settings: Settings, every: int | None) -> Schedule:
    """The schedule of the settings, or every `every` seconds; ConfigError for a bad cron line."""
    if every:
        return IntervalSchedule(interval=timedelta(seconds=every))
    try:
        return CronSchedule(cron=settings.schedule, timezone=settings.timezone)
    except ValueError:
        raise ConfigError(
            f"The settings `schedule` and `timezone` are {settings.schedule!r} and "
            f'{settings.timezone!r}, expected a cron line such as "0 1 * * *" (every night at one) '
            "and a name such as Europe/Berlin. Correct them."
        ) from None


def serve(schedule: Schedule, settings: Settings) -> None:
    """Run the nightly flow by the schedule until stopped; each run is its own process."""
    how = {
        "name": "nightly",
        "schedules": [schedule],
        "tags": sorted(tags_of(settings)),
        # One at a time. Not by Prefect's concurrency limits, which stay taken after a kill.
        "limit": 1,
        # Else a restart would leave the schedule paused.
        "pause_on_shutdown": False,
        "print_starting_message": False,
        "entrypoint_type": EntrypointType.MODULE_PATH,
    }
    # In the main thread it would take SIGTERM for itself, and stop with a traceback (3.8.8).
    serving = Thread(target=nightly.serve, kwargs=how, daemon=True)
    serving.start()
    serving.join()
