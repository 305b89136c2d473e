"""The Prefect server of a store: the one that `dental serve` keeps, else one for this process.

Left to itself, Prefect starts a server when a flow begins, and a flow that is killed leaves it
running. Ours starts first, so that it comes up on another core while we import, and reads a pipe
whose other end only its parent holds: however the parent ends, the pipe closes, and the server
stops. It listens on the loopback interface alone, on a free port.
"""

import atexit
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from filelock import Timeout

from flows.prefect_database import make_database
from flows.prefect_environment import HOME, URL
from pipeline.atomic_files import make_folder
from pipeline.errors import PipelineError
from pipeline.store.locks import SERVER, acquire_lock, is_locked
from pipeline.store.open_store import OpenStore

LOG = "server.log"  # in Prefect's home: what the last server that was started wrote
ADDRESS = "prefect/server.url"  # in the private folder; valid while the lock is held
PATIENCE = 180.0  # seconds; starting takes 4 to 9 s of CPU on an idle machine, 39 s on a busy one
SHUTDOWN_SECONDS = 10.0  # for a server to write what it has received
# As Prefect sets them for the server of a server-less flow: no web pages, no services but the one
# that records tasks. That of `dental serve` has pages, and the scheduler, which creates the runs.
FEWER_SERVICES = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
}
# The service that marks runs as late fills the log: after an outage it would mark all of them at
# once, and SQLite admits one writer (3.8.8: "database is locked", a hundred tracebacks).
SERVED = {"PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false"}

_ours: set[str] = set()  # addresses of servers that this pipeline started, here or elsewhere


def use_server(opened: OpenStore) -> None:
    """Make Prefect's clients use the store's running server, else start one for this process.

    Call it before Prefect is imported, and `wait` before a flow runs.
    """
    if not os.environ.get(URL):
        os.environ[URL] = running_server(opened) or start(FEWER_SERVICES)


def running_server(opened: OpenStore) -> str | None:
    """The address of the server that `dental serve` keeps; None when there is none."""
    address = opened.private.root / ADDRESS
    if not is_locked(opened.store, SERVER) or not address.is_file():
        return None
    url = address.read_text(encoding="ascii")
    _ours.add(url)
    return url


@contextlib.contextmanager
def run_server(opened: OpenStore) -> Iterator[str]:
    """Run a server with all services, which the other runs of this store use too."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(acquire_lock(opened.store, SERVER, timeout=0))
        except Timeout:
            raise PipelineError(
                f"The store {opened.settings.store} is served already, and one server is enough. "
                "Stop the other one first, or let it go on."
            ) from None
        (opened.private.root / ADDRESS).unlink(missing_ok=True)  # that of an earlier server
        pages = {"PREFECT_UI_STATIC_DIRECTORY": f"{os.environ[HOME]}/pages"}
        os.environ[URL] = url = start(SERVED | pages)
        opened.private.write(ADDRESS, url.encode())
        yield url


def start(variables: dict[str, str]) -> str:
    """Start a server that ends with this process; return its address, where it answers soon."""
    make_database(Path(os.environ[HOME]))
    # Bound here: the address is known at once, the port is taken, and early requests wait.
    with socket.create_server(("127.0.0.1", 0)) as listening, _log() as log:
        port, handle = listening.getsockname()[1], listening.fileno()
        url = f"http://127.0.0.1:{port}/api"
        server = subprocess.Popen(
            [sys.executable, "-m", "flows.prefect_server", str(handle)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[handle],
            # Its pages ask port 4200 otherwise, whatever is served (3.8.8).
            env={**os.environ, **variables, "PREFECT_UI_API_URL": url},
        )
    atexit.register(_end, server)
    _ours.add(url)
    return url


def _log() -> BinaryIO:
    """A new log for a server: on a terminal, tracebacks of Prefect hide the one line that helps."""
    path = Path(os.environ[HOME], LOG)
    make_folder(path.parent, 0o700)
    path.unlink(missing_ok=True)
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def wait() -> None:
    """Return once the server answers; raises PipelineError when it does not."""
    url = os.environ[URL]
    if url not in _ours:
        _require_answer(url)
        return
    try:
        # Never by a proxy, which would not find this machine.
        ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        ask(f"{url}/health", timeout=PATIENCE).close()
    except OSError as error:
        raise PipelineError(
            f"Prefect's server does not answer at {url} ({error}). Its messages are in "
            f"{os.environ[HOME]}/{LOG}. Check the versions with `dental doctor`, then run again."
        ) from None


def _require_answer(url: str) -> None:
    """Raise PipelineError unless a server of the user's answers, asked as Prefect will ask it."""
    from prefect import get_client

    try:
        with get_client(sync_client=True) as client:
            problem = client.api_healthcheck()
    except Exception as error:  # of an address or certificate that httpx cannot use, of any kind
        problem = error
    if problem is not None:
        reason = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise PipelineError(
            f"{URL} is set to {url}, where no server of Prefect answers ({reason}). Correct it, or "
            "unset it: then each run starts a server of its own."
        )


def _end(server: subprocess.Popen) -> None:
    """At exit: let the server write what it has received, then wait for its end."""
    server.stdin.close()
    try:
        server.wait(SHUTDOWN_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _end_with_parent() -> None:
    """Wait until the pipe closes, as it does when the parent ends, and exit."""
    # Not sys.stdin, whose lock a thread must not hold when Python ends ("Fatal Python error").
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)  # not SIGKILL: what was received is still written
    time.sleep(SHUTDOWN_SECONDS)
    os._exit(1)


def main() -> None:
    """Serve on the listening socket whose file descriptor is given."""
    os.umask(0o077)  # the database and all else in Prefect's home is for its owner alone
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Of 3.1 s of CPU for the imports, 0.5 s go into looking for garbage, of which there is none.
    gc.set_threshold(50_000)
    import uvicorn
    from prefect.server.api.server import create_app

    listening = socket.socket(fileno=int(sys.argv[1]))
    config = uvicorn.Config(create_app, factory=True, log_level="error", lifespan="on")
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
