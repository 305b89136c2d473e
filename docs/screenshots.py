"""Take pictures of every page of a store: light, dark, and as narrow as a phone.

    python docs/screenshots.py STORE FOLDER

Pages with pictures of scans are health data, so use a store of phantoms. Needs Chromium.
"""

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
VIEWS = {"light": ("light", 1200), "dark": ("dark", 1200), "narrow": ("light", 390)}
HEIGHT = 900  # pixels of a view; the whole page is written


def take(pages: list[Path], folder: Path) -> None:
    """Write PAGE-VIEW.png for every page and view."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        sys.exit(f"No Chromium is on the PATH (looked for {', '.join(NAMES)}). Install one.")
    folder.mkdir(parents=True, exist_ok=True)
    # Chromium's sandbox refuses to run as root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        for page in pages:
            for view, (scheme, width) in VIEWS.items():
                size = {"width": width, "height": HEIGHT}
                context = browser.new_context(color_scheme=scheme, viewport=size)
                tab = context.new_page()
                tab.goto(page.absolute().as_uri())
                name = f"{'review-' * (page.parent.name == 'review')}{page.stem}-{view}.png"
                tab.screenshot(path=folder / name, full_page=True)
                print(folder / name)
                context.close()


def main() -> None:
    """Take pictures of the pages that the store has."""
    store, folder = map(Path, sys.argv[1:])
    pages = sorted((store / "reports").rglob("*.html"))
    if not pages:
        sys.exit(f"{store} has no pages in reports/. Run a batch first: dental run FOLDER")
    take(pages, folder)


if __name__ == "__main__":
    main()
