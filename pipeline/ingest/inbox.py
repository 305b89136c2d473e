"""List an inbox: its batch folders, and the files in none of them."""

import os
from collections.abc import Sequence

from pipeline.ingest.batch_folder import BatchFolder, S3Folder
from pipeline.ingest.file_kinds import is_ignored, is_ignored_folder


def batch_folders(inbox: BatchFolder, follow_links: bool) -> Sequence[BatchFolder]:
    """The batch folders of an inbox, by name; links only when followed.

    Hidden folders and those of operating systems and storage appliances are no batches.
    """
    if isinstance(inbox, S3Folder):
        folders: Sequence[BatchFolder] = inbox.folders()
    else:
        folders = sorted(
            path
            for path in inbox.iterdir()
            if path.is_dir() and (follow_links or not path.is_symlink())
        )
    return [folder for folder in folders if not is_ignored_folder(os.fsencode(folder.name))]


def count_loose_files(inbox: BatchFolder) -> int:
    """The number of files directly in an inbox, which belong to no batch."""
    if isinstance(inbox, S3Folder):
        names = inbox.files()
    else:
        names = [path.name for path in inbox.iterdir() if not path.is_dir()]
    return sum(not is_ignored(os.fsencode(name)) for name in names)
