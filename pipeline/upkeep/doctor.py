"""Checks of the installation and of a store, for `dental doctor`: findings and what to do.

Nothing is changed, whatever is found.
"""

import importlib.metadata
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from packaging.requirements import Requirement

from pipeline.config import Settings
from pipeline.errors import PipelineError
from pipeline.store.open_store import OpenStore, open_for_writing
from pipeline.store.registry import choose_models, embedder, trunk_home
from pipeline.store.store import Store
from pipeline.upkeep.findings import (
    FAILED,
    OK,
    REINSTALL,
    RUN_AGAIN,
    WARNING,
    Finding,
    run_all,
)


def run_checks(settings: Settings) -> list[Finding]:
    """Run all checks; one that raises gives a finding too.

    This process imports Keras, a second one does what takes no Keras meanwhile. In two threads,
    which wait for each other's imports, the checks took 6.2 instead of 4.9 s.
    """
    opened, found = _open_store(settings)
    # Spawned, since OpenCV's threads do not survive a fork.
    process = ProcessPoolExecutor(1, get_context("spawn"))
    # Inherited by the process: on Ctrl-C it would print a traceback while it starts.
    answer = signal.signal(signal.SIGINT, signal.SIG_IGN)
    quick = process.submit(_quick_checks, settings if opened else None)
    signal.signal(signal.SIGINT, answer)
    process.shutdown(wait=False)  # so that it ends by itself, while Keras is imported
    installed = run_all([(python,), (packages,)])
    slow = run_all([(trunk, opened), (device,)] if opened else [(device,)])
    machine, store = _result(quick)
    return [*installed, *machine, found, *store, *slow]


def _quick_checks(settings: Settings | None) -> tuple[list[Finding], list[Finding]]:
    """Findings about the machine, and about the store of `settings` if one can be opened."""
    from pipeline.upkeep import quick_checks  # imports pydicom and DuckDB

    return quick_checks.check_machine(), quick_checks.check_store(settings) if settings else []


def _result(quick: Future) -> tuple[list[Finding], list[Finding]]:
    """What `_quick_checks` returns; when it ends otherwise, that is a finding."""
    try:
        return quick.result()
    except BrokenProcessPool:
        problem = "a decoder, or another library in C, ended the process that tried it"
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    return [Finding("decoders and store", FAILED, problem, REINSTALL)], []


def _open_store(settings: Settings) -> tuple[OpenStore | None, Finding]:
    """The store, unless there is none that can be opened, and the finding about it."""
    what = "store and key"
    try:
        if not Store(settings.store).exists():
            message = f"there is no store {settings.store} yet"
            return None, Finding("store", WARNING, message, "run dental run path/to/folder")
        opened = open_for_writing(settings)
    except (PipelineError, OSError) as error:
        return None, Finding(what, FAILED, str(error), RUN_AGAIN)
    return opened, Finding(what, OK, f"{settings.store} opens with its key")


def python() -> Iterator[Finding]:
    """Check the version of Python."""
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        yield Finding("Python", OK, version)
    else:
        yield Finding("Python", FAILED, version, "use Python 3.11, 3.12 or 3.13")


def packages() -> Iterator[Finding]:
    """Check package versions. Other versions may break Prefect without an error: no run starts."""
    wrong = []
    for text in importlib.metadata.requires("dental-pipeline") or []:
        required = Requirement(text)
        if required.marker and not required.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(required.name)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found == "missing" or not required.specifier.contains(found, prereleases=True):
            wrong.append(f"{required.name} is {found}, expected {required.specifier}")
    prefect = importlib.metadata.version("prefect")
    if wrong:
        yield Finding("packages", FAILED, "; ".join(wrong), REINSTALL)
    else:
        yield Finding("packages", OK, f"all as expected; Prefect {prefect}")


def device() -> Iterator[Finding]:
    """Name the device that models run on."""
    from pipeline.model.keras_backend import device

    yield Finding("device", OK, device())


def trunk(opened: OpenStore) -> Iterator[Finding]:
    """Check that the current trunk reproduces the embedding that was stored with it."""
    chosen = choose_models(opened.settings, opened.store)
    if not opened.store.has(f"{trunk_home(chosen.trunk_id)}/card.json"):
        yield Finding("trunk", OK, f"{chosen.trunk_id} will be created by the first run")
        return
    try:
        embedder(opened.store, chosen)
    except PipelineError as error:
        yield Finding("trunk", FAILED, str(error), RUN_AGAIN)
    else:
        yield Finding("trunk", OK, f"{chosen.trunk_id} reproduces its golden embedding")
