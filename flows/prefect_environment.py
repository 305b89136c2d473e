"""Prefect's surroundings: its own home beside the store, quiet, and nothing sent anywhere.

To be set before Prefect is imported, which reads them once. What you set yourself stands.
"""

import os

from pipeline.config import Settings


def set_prefect_environment(settings: Settings) -> None:
    """Set what Prefect reads at import."""
    ours = {
        "PREFECT_HOME": str(settings.private_folder.absolute() / "prefect"),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }
    for name, value in ours.items():
        os.environ.setdefault(name, value)
