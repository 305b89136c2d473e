"""Prefect's surroundings: its own home beside the store, quiet, and nothing sent anywhere.

To be set before Prefect is imported, which reads them once. What you set yourself stands.
"""

import os

from pipeline.config import Settings


def prepare(settings: Settings) -> None:
    """Set what Prefect reads at import."""
    ours = {
        "PREFECT_HOME": str(settings.private_folder.absolute() / "prefect"),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        # A server-less flow starts a server process: 18 to 39 s of CPU on two cores, against a
        # default patience of 20 s.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    }
    for name, value in ours.items():
        os.environ.setdefault(name, value)
