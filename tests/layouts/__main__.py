"""Try every layout: check it, run it into a small store, print what becomes of it.

python -m tests.layouts [NAME …]
"""

import sys
import tempfile
import time
from pathlib import Path

from tests.layouts.layouts import LAYOUTS
from tests.layouts.table import HEADER, checked, run_values


def main(names: list[str]) -> None:
    started = time.monotonic()
    for layout in LAYOUTS:
        if names and layout.name not in names:
            continue
        with tempfile.TemporaryDirectory() as root:
            print(f"\n{layout.name}: {layout.title} {layout.settings or ''}")
            row = checked(layout, Path(root))[1]
            for name, value in zip(HEADER[1:], row[1:], strict=True):
                print(f"  check  {name}: {value}")
            values = run_values(layout, Path(root))
            del values["patient_keys"]
            for line in values.pop("lines")[1:]:
                print(f"  run  {line}")
            print("  run    " + ", ".join(f"{name} {value}" for name, value in values.items()))
    print(f"\n{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
