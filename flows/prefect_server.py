"""The Prefect server of a store: the one that `dental serve` keeps, else one for this process.

Left to itself, Prefect starts a server when a flow begins, and a flow that is killed leaves it
running. Ours starts first, so that it comes up on another core while we import, and reads a pipe
whose other end only its parent holds: however the parent ends, the pipe closes, and the server
stops. It listens on the loopback interface alone, on a free port.
"""

import atexit
import contextlib
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

from filelock import Timeout

from pipeline.errors import PipelineError
from pipeline.store.locks import SERVER, acquire_lock, is_locked
from pipeline.store.open_store import OpenStore

URL = "PREFECT_API_URL"  # Prefect's clients read it; one that is set already is kept
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


def use_server(opened: OpenStore) -> None:
    """Make Prefect's clients use the store's running server, else start one for this process.

    Call it before Prefect is imported, and `wait` before a flow runs.
    """
    if URL not in os.environ:
        os.environ[URL] = running_server(opened) or start(FEWER_SERVICES)


def running_server(opened: OpenStore) -> str | None:
    """The address of the server that `dental serve` keeps; None when there is none."""
    address = opened.private.root / ADDRESS
    return address.read_text() if is_locked(opened.store, SERVER) and address.is_file() else None


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
        os.environ[URL] = url = start(SERVED)
        opened.private.write(ADDRESS, url.encode())
        yield url


def start(variables: dict[str, str]) -> str:
    """Start a server that ends with this process; return its address, where it answers soon."""
    # Bound here: the address is known at once, the port is taken, and early requests wait.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port, handle = listening.getsockname()[1], listening.fileno()
        server = subprocess.Popen(
            [sys.executable, "-m", "flows.prefect_server", str(handle)],
            stdin=subprocess.PIPE,
            pass_fds=[handle],
            env={**os.environ, **variables},
        )
    atexit.register(_end, server)
    return f"http://127.0.0.1:{port}/api"


def wait() -> None:
    """Return once the server answers; raises PipelineError when it does not."""
    try:
        urllib.request.urlopen(f"{os.environ[URL]}/health", timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        pass  # it answers; a server of your own may lack that page
    except OSError as error:
        raise PipelineError(
            f"Prefect's server does not answer at {os.environ[URL]} ({error}). Its "
            "own message may be above. Check the versions with `dental doctor`, then run again."
        ) from None


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
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)  # not SIGKILL: what was received is still written
    time.sleep(SHUTDOWN_SECONDS)
    os._exit(1)


def main() -> None:
    """Serve on the listening socket whose file descriptor is given."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import uvicorn
    from prefect.server.api.server import create_app

    listening = socket.socket(fileno=int(sys.argv[1]))
    config = uvicorn.Config(create_app, factory=True, log_level="error", lifespan="on")
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
