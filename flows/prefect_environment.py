"""Prefect's environment variables: its home in the private folder, few messages, no telemetry.

Set them before Prefect is imported, which reads them once. Those that are set already are kept.
"""

import os

from pipeline.config import Settings


def set_prefect_environment(settings: Settings) -> None:
    """Set the variables that Prefect reads at import."""
    ours = {
        "PREFECT_HOME": str(settings.private_folder.absolute() / "prefect"),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }
    for name, value in ours.items():
        os.environ.setdefault(name, value)
