"""Commands run in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Settings of a small, fast recipe and trunk, as environment variables.
SMALL_SETTINGS = {
    "DENTAL_RECIPE__SIDE": "32",
    "DENTAL_TRUNK__LAYERS": '[{"filters": 4, "kernel": 3}, {"filters": 8, "kernel": 3}]',
    "DENTAL_TRUNK__WEIGHTS": "random",
    "DENTAL_WORKERS": "2",
}


def run_dental(
    *arguments, module="pipeline.cli", cwd=ROOT, **variables
) -> subprocess.CompletedProcess:
    """Run `dental …` as a user does, with environment variables; the finished process."""
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
