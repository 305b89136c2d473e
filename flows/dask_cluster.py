"""Work on parts in an existing Dask cluster.

A worker receives a stage's work as values (settings, batch and model names) and a part's number,
and returns its outcome. Prefect and its tasks stay in the flow's process: a worker needs neither a
Prefect server nor this package's `flows`. A scheduler that went away may come back, a worker that
was lost costs its part another attempt, and one that comes late is used.
"""

import contextlib
import secrets
import time
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from distributed import CancelledError, Client, Future
from distributed.client import ClosedClientError
from distributed.comm import CommClosedError

from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.jobs.part_work import PartWork, attempt_elsewhere
from pipeline.progress import log
from pipeline.stages.parts_loop import Attempt

PATIENCE_SECONDS = 120.0  # for a scheduler that was restarted, and for a worker to come
LOOK_SECONDS = 5.0


class Cluster:
    """A connected cluster for one stage; thread-safe."""

    def __init__(self, client: Client, settings: Settings, work: PartWork):
        self._client, self._work = client, work
        self._resources = getattr(settings.dask, work.needs, {}) if work.needs else {}
        self._last_worker = time.monotonic()
        self._gone: str | None = None  # why no part can be done any more

    def run_part(self, number: int) -> Attempt:
        """Work on one part and wait for it, across restarts of scheduler and workers."""
        while self._gone is None:
            # Another key each time: a scheduler that remembers the old one would answer for it.
            key = f"{self._work.stage} {self._work.job.batch} {number}-{secrets.token_hex(4)}"
            try:
                future = self._client.submit(
                    attempt_elsewhere, self._work, number, key=key, resources=self._resources
                )
                return self._result(future)
            except (CancelledError, CommClosedError):
                time.sleep(1)  # the client reconnects to the scheduler; then the part is sent again
            except ClosedClientError:
                self._gone = f"The Dask scheduler did not come back in {PATIENCE_SECONDS:.0f} s."
            except (
                Exception
            ) as error:  # a part that killed several workers, or could not be unpickled
                message = f"no worker could do it ({type(error).__name__}: {error})"
                return Attempt(failed=True, message=message)
        return Attempt(failed=True, message=self._gone)

    def _result(self, future: Future) -> Attempt:
        while True:
            try:
                return future.result(timeout=LOOK_SECONDS)
            except TimeoutError:
                self._look_for_workers()
                if self._gone:
                    future.cancel()

    def require_worker(self) -> None:
        """Wait for a worker that offers the resources; ConfigError when none comes."""
        while not self._gone and not self._has_worker():
            self._look_for_workers()
            time.sleep(0.2)
        if self._gone:
            raise ConfigError(self._gone)

    def _look_for_workers(self) -> None:
        if self._has_worker():
            self._last_worker = time.monotonic()
        elif time.monotonic() - self._last_worker > PATIENCE_SECONDS:
            offer = " ".join(f"{name}={count:g}" for name, count in self._resources.items())
            self._gone = (
                f"No Dask worker for the stage {self._work.stage} came in {PATIENCE_SECONDS:.0f} s"
                + (f"; expected one that offers {offer}. " if offer else ". ")
                + "Start one, see docs/dask.md, or correct the settings under `dask`."
            )
            log.warning("%s", self._gone)

    def _has_worker(self) -> bool:
        try:
            workers = self._client.scheduler_info()["workers"].values()
        except (OSError, KeyError):
            return False  # the scheduler is away
        return any(
            all(
                worker["resources"].get(name, 0) >= count for name, count in self._resources.items()
            )
            for worker in workers
        )


@contextlib.contextmanager
def connect(settings: Settings, work: PartWork) -> Iterator[Cluster]:
    """Connect to the cluster of the settings and wait for a worker for `work`; else ConfigError."""
    address = checked_address(settings.dask.address)
    try:
        client = Client(address, timeout=PATIENCE_SECONDS, set_as_default=False)
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f"No Dask scheduler answers at {address} ({error}). Start one there, or correct "
            "`dask.address`."
        ) from None
    with client:
        cluster = Cluster(client, settings, work)
        cluster.require_worker()
        yield cluster


def checked_address(address: str | None) -> str:
    """The scheduler's address; ConfigError when it is missing or open to the network."""
    if address is None:
        raise ConfigError(
            'The setting `runner` is "dask" but `dask.address` names no scheduler, such as '
            "tls://10.0.0.5:8786. Name one, or leave `runner` out."
        )
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if parts.scheme == "tls" or (parts.scheme == "tcp" and _is_this_machine(parts.hostname)):
        return address
    raise ConfigError(
        f"`dask.address` is {address}, expected tls://… or an address of this machine alone: who "
        "reaches a scheduler without TLS can run what they like as you, and read the private "
        "folder. Give scheduler, workers and runs certificates, see docs/dask.md."
    )


def _is_this_machine(host: str | None) -> bool:
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ip_address(host or "").is_loopback
    return False
