"""Settings: defaults, the file `dental.toml` and DENTAL_… variables.

`setting_groups.py` has the tables of settings, `settings.py` the rest, `loading.py` reads them.
"""

from pipeline.config.loading import load, nearest
from pipeline.config.setting_groups import (
    GROUPS,
    NOTES,
    Dask,
    Drift,
    Flag,
    Group,
    Head,
    Layer,
    Learn,
    Novelty,
    Quality,
    Recipe,
    Trunk,
)
from pipeline.config.settings import Settings, settings_file

__all__ = [
    "GROUPS",
    "NOTES",
    "Dask",
    "Drift",
    "Flag",
    "Group",
    "Head",
    "Layer",
    "Learn",
    "Novelty",
    "Quality",
    "Recipe",
    "Settings",
    "Trunk",
    "load",
    "nearest",
    "settings_file",
]
