"""A real S3 API on the loopback: moto's server in its own process, with its objects in memory.

`S3Server` starts it and controls it by requests under `/-/`: it counts the requests of others, and
can be slow, ignore conditions, or kill a client in the middle of a write.
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

ROOT = Path(__file__).parents[2]
BUCKET = "bucket"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
WRITING = ("PUT", "POST", "DELETE")
PHASES = ("before", "amid", "after")


class Request(NamedTuple):
    """One request as it came."""

    method: str
    key: str
    range: str | None = None  # of bytes, when not the whole object was asked for


class KillAt(NamedTuple):
    """Kill process `pid` at the write number `at`: before it, amid its body, or after it."""

    pid: int
    at: int
    phase: str


class S3Server:
    """The server, seen from outside. It ends with this object and with this process."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.builders.s3_server"],
            cwd=ROOT,
            env={**os.environ, **CREDENTIALS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.url = self._process.stdout.readline().decode().strip()
        self.environment = {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url}

    def __enter__(self) -> "S3Server":
        return self

    def __exit__(self, *_) -> None:
        self._process.communicate()

    @property
    def requests(self) -> list[Request]:
        """Requests since the last `reset`."""
        return [Request(*each) for each in self.control("requests")]

    @property
    def writes(self) -> int:
        """How many of them change an object."""
        return sum(each.method in WRITING for each in self.requests)

    def reset(self, kill: KillAt | None = None) -> None:
        """Count requests from zero, and kill a client as given."""
        self.control(f"reset/{'/'.join(map(str, kill))}" if kill else "reset")

    def control(self, command: str):
        """Send a command; its result. Starts no thread here, since callers fork."""
        with urllib.request.urlopen(f"{self.url}/-/{command}") as response:
            return json.load(response)


class Application:
    """The server's WSGI application: moto's, and what `S3Server.control` asks for."""

    def __init__(self):
        from moto.server import DomainDispatcherApplication, create_backend_app

        self.requests: list[Request] = []
        self.kill: KillAt | None = None
        self.delay = 0.0  # seconds
        self.ignores_conditions = False  # as a server that does not know If-Match
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._counting = threading.Lock()

    def __call__(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path.startswith("/-/"):
            result = self._control(*path.removeprefix("/-/").split("/"))
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(result).encode()]
        time.sleep(self.delay)
        with self._counting:
            number = sum(each.method in WRITING for each in self.requests)
            key, part = path.removeprefix(f"/{BUCKET}/"), environ.get("HTTP_RANGE")
            self.requests.append(Request(method, key, part))
        kill = self.kill
        if kill is None or method not in WRITING or kill.at != number:
            return self._respond(environ, start_response)
        return self._kill(kill, environ, start_response)

    def _kill(self, kill: KillAt, environ, start_response):
        if kill.phase == "before":  # as if the request had been lost
            os.kill(kill.pid, signal.SIGKILL)
            start_response("503 Service Unavailable", [])
            return [b""]
        if kill.phase == "amid":
            begun = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0) // 2)
            os.kill(kill.pid, signal.SIGKILL)
            environ["wsgi.input"] = io.BytesIO(begun)  # the rest was never sent
            environ["HTTP_CONNECTION"] = "close"
        response = self._respond(environ, start_response)
        os.kill(kill.pid, signal.SIGKILL)
        return response

    def _respond(self, environ, start_response):
        if self.ignores_conditions:
            environ = {name: environ[name] for name in environ if not name.startswith("HTTP_IF_")}
        return [b"".join(self._moto(environ, start_response))]

    def _control(self, command: str, *given: str):
        """Carry out a command of `S3Server.control`."""
        bucket = bucket_of_moto()
        if command == "reset":
            self.requests, self.kill = [], None
            if given:
                self.kill = KillAt(int(given[0]), int(given[1]), given[2])
        elif command == "delay":
            self.delay = float(given[0])
        elif command == "ignore-conditions":
            self.ignores_conditions = given[0] == "yes"
        elif command == "clear":
            for key in list(bucket.keys):
                bucket.keys.pop(key)
        elif command == "contents":  # SHA-256 by key
            values = {key: bucket.keys[key].value for key in list(bucket.keys)}
            return {key: hashlib.sha256(value).hexdigest() for key, value in values.items()}
        elif command == "uploads":
            return len(bucket.multiparts)
        return self.requests


def bucket_of_moto():
    from moto.s3.models import s3_backends

    return s3_backends["123456789012"]["aws"].buckets[BUCKET]


def main() -> None:
    """Serve until standard input ends; the first line of standard output is the address."""
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        """Keeps connections open, as S3 does, and logs nothing."""

        protocol_version = "HTTP/1.1"

        def log(self, *_):
            pass

    server = make_server("127.0.0.1", 0, Application(), threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    request = urllib.request.Request(f"{url}/{BUCKET}", method="PUT")
    urllib.request.urlopen(request).close()
    print(url, flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
