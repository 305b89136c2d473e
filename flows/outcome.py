"""What a flow did, as its caller gets it. Prefect is not imported: a run may have nothing to do."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pipeline.config import Settings
from pipeline.report.batch_summary import Summary, format_summary, public_lines
from pipeline.report.night_record import NightRecord, format_night


@dataclass(frozen=True)
class Outcome:
    """What a flow did: as lines for people, as values for programs, as an exit status."""

    lines: list[str]
    values: dict
    status: int = 0
    failure: str = ""  # why the flow counts as failed, for Prefect's database: it names nothing
    # For Prefect's pages, whose database may be on another machine: no path, nothing of a patient.
    public_lines: Sequence[str] = ()


def batch_outcome(summary: Summary, settings: Settings) -> Outcome:
    """The outcome of a run of a batch."""
    failure = ""
    if summary.failures:
        failure = f"{len(summary.failures)} parts failed"
    elif summary.broken_checks:
        failure = f"{len(summary.broken_checks)} checks of the store failed"
    return Outcome(
        format_summary(summary, settings),
        asdict(summary),
        summary.exit_status(settings),
        failure,
        public_lines(summary, settings),
    )


def night_outcome(night: NightRecord, settings: Settings) -> Outcome:
    """The outcome of a nightly run."""
    failures = len(night.failures)
    failure = f"{failures} failures; see reports/nightly.txt" if failures else ""
    lines, public = (format_night(night, settings, paths=each) for each in (True, False))
    return Outcome(lines, asdict(night), night.exit_status, failure, public)
