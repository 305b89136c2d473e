"""The folder of an export: new, readable by its owner only, and away from the store."""

import json
from collections.abc import Iterable
from pathlib import Path

from pipeline.config import Settings
from pipeline.errors import ConfigError

DESCRIPTION = "export.json"  # written last: an export without it was interrupted


def make_out_folder(out: Path, settings: Settings, private: Path | None) -> Path:
    """Make the folder of an export with mode 0700 and return its absolute path.

    Raises ConfigError if it lies in the store or in the private folder, or one of them in it, if it
    has files already, and if it cannot be made.
    """
    out = out.resolve()
    require_away(out, settings, private)
    try:
        if out.is_dir() and any(out.iterdir()):
            raise ConfigError(
                f"{out} has files already, and an export does not mix with others. Name a new "
                "folder."
            )
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
        out.chmod(0o700)
    except OSError as error:
        raise ConfigError(
            f"{out} cannot be made ({error.strerror}); name a folder that you may write to."
        ) from None
    return out


def require_away(out: Path, settings: Settings, private: Path | None) -> None:
    """Raise ConfigError if `out`, resolved, lies in the store or private folder, or one in it."""
    if "://" not in settings.store:
        _require_away(out, Path(settings.store).resolve(), "store")
    if private is not None:
        _require_away(out, private.resolve(), "private folder")


def _require_away(out: Path, other: Path, name: str) -> None:
    if out == other or other in out.parents:
        raise ConfigError(f"{out} lies inside the {name} {other}; name a folder outside it.")
    if out in other.parents:
        raise ConfigError(f"The {name} {other} lies inside {out}; name another folder.")


def write_json(path: Path, value: object, indent: int | None = None) -> None:
    """Write a JSON file; with `indent`, which takes several times as long, for people to read."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n")


def write_json_list(
    path: Path, items: Iterable[object], before: str = "[", after: str = "]"
) -> None:
    """Write a JSON list item by item, a line each, between the rest of its document."""
    with path.open("w", encoding="utf-8") as file:
        file.write(before)
        for number, item in enumerate(items):
            file.write(",\n" if number else "\n")
            file.write(json.dumps(item, ensure_ascii=False, allow_nan=False))
        file.write(f"\n{after}\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
