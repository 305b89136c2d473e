"""`python -m flows NAME …`: deprecated; forwards to the `dental` command."""

import os
import sys

COMMANDS = {
    "process_batch": "run",
    "train": "train",
    "feedback": "feedback",
    "cross_validate": "cross-validate",
    "learn_trunk": "learn-trunk",
    "nightly": "nightly",
    "serve": "serve",
}


def main() -> None:
    """Become the `dental` command of the same meaning, with its exit status."""
    name, arguments = (sys.argv[1] if sys.argv[1:] else "--help"), sys.argv[2:]
    command = COMMANDS.get(name, name)
    named = "dental" if name.startswith("-") else f"dental {command}"
    print(
        f"`python -m flows {name}` is deprecated and will go in the next version; use `{named}`.",
        file=sys.stderr,
        flush=True,
    )
    # Replaced, not started: signals and the exit status are those of the command.
    os.execv(sys.executable, [sys.executable, "-m", "pipeline.cli", command, *arguments])


if __name__ == "__main__":
    main()
