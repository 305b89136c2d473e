"""A review server as a user starts it."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Server:
    """`dental review` in a process of its own."""

    def __init__(self, store, reviewers, port=0):
        named = [word for code in reviewers for word in ("--reviewer", code)]
        options = ["--store", store, "--port", str(port), *named]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", "review", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = [self._process.stdout.readline() for _ in (*reviewers, "note")]
        self.links = dict(line.split() for line in lines[:-1])
        self.home = re.match(r"http://[^/]+/", next(iter(self.links.values())))[0]
        self.port = int(self.home.rstrip("/").rpartition(":")[2])

    def kill(self):
        """End it like a power cut does."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
