"""A real S3 API on the loopback: moto's server in its own process, with its objects in memory.

It may be slow, careless or deadly to its clients. `Process` starts it and asks it under `/-/`, for
what others asked, too.
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


class Strike(NamedTuple):
    """Kill process `pid` at the write number `at`: before it is done, amid its body, or after."""

    pid: int
    at: int
    phase: str


class Process:
    """The server as its clients know it; it ends with this object, and with who made it."""

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
        self._process.communicate()

    @property
    def requests(self) -> list[Request]:
        """Requests since the last `expect`."""
        return [Request(*each) for each in self.asked("requests")]

    @property
    def writes(self) -> int:
        """How many of them change what is stored."""
        return sum(each.method in WRITING for each in self.requests)

    def expect(self, strike: Strike | None = None) -> None:
        """Forget the requests so far, and strike."""
        self.asked(f"expect/{'/'.join(map(str, strike))}" if strike else "expect")

    def asked(self, what: str):
        """The answer under /-/, without any thread here, since who asks may fork."""
        with urllib.request.urlopen(f"{self.url}/-/{what}") as answer:
            return json.load(answer)


class Server:
    """The server from inside."""

    def __init__(self):
        from moto.server import DomainDispatcherApplication, create_backend_app

        self.requests: list[Request] = []
        self.strike: Strike | None = None
        self.delay, self.careless = 0.0, False  # seconds; whether it heeds no If-…
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._counting = threading.Lock()

    def __call__(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path.startswith("/-/"):
            found = self._control(*path.removeprefix("/-/").split("/"))
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(found).encode()]
        time.sleep(self.delay)
        with self._counting:
            number = sum(each.method in WRITING for each in self.requests)
            self.requests.append(Request(method, path.removeprefix(f"/{BUCKET}/")))
        strike = self.strike
        if strike is None or method not in WRITING or strike.at != number:
            return self._done(environ, start_response)
        return self._struck(strike, environ, start_response)

    def _struck(self, strike: Strike, environ, start_response):
        if strike.phase == "before":  # nothing came of it: as if it had been lost on the way
            os.kill(strike.pid, signal.SIGKILL)
            start_response("503 Service Unavailable", [])
            return [b""]
        if strike.phase == "amid":
            begun = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0) // 2)
            os.kill(strike.pid, signal.SIGKILL)
            environ["wsgi.input"] = io.BytesIO(begun)  # the rest never came
            environ["HTTP_CONNECTION"] = "close"
        answer = self._done(environ, start_response)
        os.kill(strike.pid, signal.SIGKILL)
        return answer

    def _done(self, environ, start_response):
        if self.careless:
            environ = {name: environ[name] for name in environ if not name.startswith("HTTP_IF_")}
        return [b"".join(self._moto(environ, start_response))]

    def _control(self, what: str, *said: str):
        """What a `Process` asks or tells."""
        bucket = bucket_of_moto()
        if what == "expect":
            self.requests, self.strike = [], None
            if said:
                self.strike = Strike(int(said[0]), int(said[1]), said[2])
        elif what == "delay":
            self.delay = float(said[0])
        elif what == "careless":
            self.careless = said[0] == "yes"
        elif what == "clear":
            for key in list(bucket.keys):
                bucket.keys.pop(key)
        elif what == "contents":  # SHA-256 by key
            values = {key: bucket.keys[key].value for key in list(bucket.keys)}
            return {key: hashlib.sha256(value).hexdigest() for key, value in values.items()}
        elif what == "uploads":
            return len(bucket.multiparts)
        return self.requests


def bucket_of_moto():
    from moto.s3.models import s3_backends

    return s3_backends["123456789012"]["aws"].buckets[BUCKET]


def main() -> None:
    """Serve until standard input ends; the address is told on standard output."""
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        """Keeps connections open, as S3 does, and says nothing."""

        protocol_version = "HTTP/1.1"

        def log(self, *_):
            pass

    server = make_server("127.0.0.1", 0, Server(), threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    request = urllib.request.Request(f"{url}/{BUCKET}", method="PUT")
    urllib.request.urlopen(request).close()
    print(url, flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
