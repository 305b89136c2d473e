"""Progress messages of long benchmarks."""

import sys


def log_step(step: str) -> None:
    """Log the current step to standard error, so that standard output has the results only."""
    print(f"… {step}", file=sys.stderr, flush=True)
