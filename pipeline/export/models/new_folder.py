"""A folder that appears whole or not at all, away from the store."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.export.out_folder import require_away


@contextmanager
def new_folder(out: Path, settings: Settings) -> Iterator[Path]:
    """A folder of mode 0700 that becomes `out` when the block ends well, and is removed otherwise.

    Raises ConfigError when `out` exists and is not an empty folder, lies in the store or in its
    private folder, or one of them in it, or cannot be made.
    """
    out = out.resolve()
    on_s3 = "://" in settings.store
    private = settings.private if on_s3 else settings.private_folder
    require_away(out, settings, private)
    try:
        if out.exists() and not (out.is_dir() and not any(out.iterdir())):
            raise ConfigError(f"{out} exists already; nothing is replaced. Name a new folder.")
        out.parent.mkdir(parents=True, exist_ok=True)
        # Beside `out`, since a rename does not cross file systems.
        unfinished = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise _cannot_be_made(out, error) from None
    try:
        yield unfinished
        try:
            unfinished.rename(out)
        except OSError as error:
            raise _cannot_be_made(out, error) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _cannot_be_made(out: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{out} cannot be made ({error.strerror}); name a folder in one that you may write to."
    )
