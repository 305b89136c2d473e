"""`dental` and `python -m pipeline.cli`: every command there is."""

import atexit
import codecs
import ctypes
import gc
import os
import platform
import sys
import threading
from types import SimpleNamespace
from typing import NoReturn

# Imported for the commands that they add, in the order in which `dental --help` lists them.
# isort: off
from pipeline.cli import run, check, worklist, scans, query, explain, predict  # noqa: F401
from pipeline.cli import export, evaluate, models, status, learn, review, review_table  # noqa: F401
from pipeline.cli import trunk, upkeep, phantoms  # noqa: F401

# isort: on
from pipeline.cli.app import commands
from pipeline.errors import PipelineError
from pipeline.progress import log_to_stderr

M_ARENA_MAX, ARENAS = -8, 2  # glibc's number of its option, and pools of memory for all threads
GARBAGE_THRESHOLD = 50_000  # objects more than before, instead of 700, at which Python looks for it


def app() -> None:
    """Entry point: errors raised on purpose are printed without a traceback."""
    use_utf8()
    use_few_arenas()
    # Modules stay: looking for garbage among them takes a tenth of the time of importing them.
    gc.set_threshold(GARBAGE_THRESHOLD)
    # Nothing is drawn on a screen, and a backend that is not installed fails at import.
    os.environ["MPLBACKEND"] = "agg"
    log_to_stderr()
    if "--help" in sys.argv:
        import_help()
    try:
        commands()
    except SystemExit as done:
        leave(done.code)
    except PipelineError as error:
        print(error, file=sys.stderr)
        leave(1)
    except KeyboardInterrupt:
        print("\nStopped before anything was begun.", file=sys.stderr)
        leave(130)


def leave(code: str | int | None) -> NoReturn:
    """End the process as `sys.exit` does, without clearing every module.

    With Keras, Prefect and DuckDB that takes 2.2 s of CPU, this 0.05 s.
    """
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)  # reports that the output could not be written
    if isinstance(code, int | None):
        os._exit(code or 0)
    sys.exit(code)


def import_help() -> None:
    """Import what Typer renders help with, without two modules of rich that ours does not use.

    They colour Markdown and tracebacks, and are a quarter of the time of `dental --help`.
    """
    unused = {"rich.markdown": "Markdown", "rich.traceback": "Traceback"}
    unused = {name: kind for name, kind in unused.items() if name not in sys.modules}
    sys.modules |= {name: SimpleNamespace(**{kind: None}) for name, kind in unused.items()}
    import typer.rich_utils  # noqa: F401

    for name in unused:
        del sys.modules[name]


def use_utf8() -> None:
    """Start again in Python's UTF-8 mode under a locale of another encoding, such as C.

    There, file names and settings beyond ASCII cannot be opened, and results not printed.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name == "utf-8":
        return
    os.environ["PYTHONUTF8"] = "1"  # of the processes that this one starts
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def use_few_arenas() -> None:
    """Let all threads share two pools of memory where the C library is glibc.

    By default it has eight for each core, and what one thread frees in its own serves no other: a
    run over 480 panoramics took 1.61 GB instead of 1.49, and 1.11 times as much as over 48.
    """
    name = "MALLOC_ARENA_MAX"
    is_set = name in os.environ or "arena_max" in os.environ.get("GLIBC_TUNABLES", "")
    if not is_set and platform.libc_ver()[0] == "glibc":
        os.environ[name] = str(ARENAS)  # of the processes that this one starts
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


if __name__ == "__main__":
    app()
