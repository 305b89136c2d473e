"""A real S3 API on the loopback, in memory: moto's server, which may be slow or strike its clients.

In a thread for tests; as a process of its own (`python -m tests.s3_server`) for the crash harness
and the benchmark, where it is asked under `/-/`.
"""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

ROOT = Path(__file__).parents[1]
BUCKET = "bucket"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
WRITING = ("PUT", "POST", "DELETE")
PHASES = ("before", "amid", "after")


class Request(NamedTuple):
    """One request as it came."""

    method: str
    key: str
    headers: dict[str, str]


class Strike(NamedTuple):
    """Kill process `pid` at the write number `at`: before it is done, amid its body, or after."""

    pid: int
    at: int
    phase: str


class Server:
    """The server and what it was asked since the last `expect`."""

    def __init__(self):
        self.delay, self.requests = 0.0, []  # seconds before anything is done
        self.heeds_terms = True  # If-Match and If-None-Match
        self._strike: Strike | None = None
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=Quiet
        )
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._counting = threading.Lock()

    def start(self) -> None:
        """Answer from now on, in a thread."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        request = urllib.request.Request(f"{self.url}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request).close()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def expect(self, strike: Strike | None = None) -> None:
        """Forget the requests so far, and strike."""
        with self._counting:
            self.requests, self._strike = [], strike

    @property
    def writes(self) -> int:
        """Requests so far that change what is stored."""
        return sum(each.method in WRITING for each in self.requests)

    def _answer(self, environ, start_response):
        if environ["PATH_INFO"].startswith("/-/"):
            return self._control(environ, start_response)
        time.sleep(self.delay)
        with self._counting:
            number, strike = self.writes, self._strike
            key = environ["PATH_INFO"].removeprefix(f"/{BUCKET}/")
            headers = {name[5:]: environ[name] for name in environ if name.startswith("HTTP_")}
            self.requests.append(Request(environ["REQUEST_METHOD"], key, headers))
        if not self.heeds_terms:
            environ = {name: environ[name] for name in environ if not name.startswith("HTTP_IF_")}
        writes = environ["REQUEST_METHOD"] in WRITING
        phase = strike.phase if strike and writes and strike.at == number else None
        if phase == "before":
            os.kill(strike.pid, signal.SIGKILL)
            # Nothing came of it: as if it had been lost on the way.
            return gone(start_response)
        if phase == "amid":
            size = int(environ.get("CONTENT_LENGTH") or 0)
            begun = environ["wsgi.input"].read(size // 2)
            os.kill(strike.pid, signal.SIGKILL)
            rest = b"" if size < 2 else environ["wsgi.input"].read(size - len(begun))
            # What had left the machine may still come; what had not is lost.
            environ["wsgi.input"] = io.BytesIO(begun + rest)
        answer = b"".join(self._moto(environ, start_response))
        if phase == "after":
            os.kill(strike.pid, signal.SIGKILL)
        return [answer]

    def _control(self, environ, start_response):
        """What a process is asked, answered in JSON: how many writes there were, unless told.

        `/-/expect/PID/AT/PHASE`, `/-/expect`, `/-/delay/SECONDS`, `/-/contents`, `/-/uploads`.
        """
        what, *said = environ["PATH_INFO"].removeprefix("/-/").split("/")
        found: object = self.writes
        if what == "expect":
            self.expect(Strike(int(said[0]), int(said[1]), said[2]) if said else None)
        elif what == "delay":
            self.delay = float(said[0])
        elif what == "contents":
            found = contents()
        elif what == "uploads":
            found = len(_bucket().multiparts)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(found).encode()]


class Process:
    """The server as a process of its own, which ends with this object or with who made it."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.s3_server"],
            cwd=ROOT,
            env={**os.environ, **CREDENTIALS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.url = self._process.stdout.readline().decode().strip()
        self.environment = {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url}

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_) -> None:
        self._process.stdin.close()
        self._process.wait()

    def asked(self, what: str):
        """The answer under /-/, without any thread here, since who asks may fork."""
        with urllib.request.urlopen(f"{self.url}/-/{what}") as answer:
            return json.load(answer)


class Quiet(WSGIRequestHandler):
    """Keeps connections open, as S3 does, and says nothing."""

    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass


def gone(start_response):
    start_response("503 Service Unavailable", [("Content-Length", "0")])
    return [b""]


def contents() -> dict[str, str]:
    """SHA-256 of every object, by its key."""
    keys = _bucket().keys
    return {key: hashlib.sha256(keys[key].value).hexdigest() for key in list(keys)}


def _bucket():
    return s3_backends["123456789012"]["aws"].buckets[BUCKET]


def main() -> None:
    """Serve until standard input ends; the address is told on standard output."""
    server = Server()
    server.start()
    print(server.url, flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
