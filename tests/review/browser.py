"""The system's Chromium, and a review server as a user starts it."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@contextmanager
def chromium():
    """A started browser; the test is skipped when the machine has none."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no Chromium on this machine: none of {', '.join(NAMES)} is on the PATH")
    # Chromium's sandbox refuses to run as root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


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
