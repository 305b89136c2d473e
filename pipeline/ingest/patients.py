"""Whose scan a delivered file is, decided when its batch is planned.

The first source that names a patient decides: a table, the DICOM PatientID, the folder (setting
`patient_folders`), the file name (setting `patient_names`), the StudyInstanceUID. A copy of another
scan is its source's patient unless a table or its own header names one. Otherwise a scan is its own
patient. The decision depends on the delivery alone, never on the order in which parts are received.

What names a patient stays in memory; keyed hashes leave this module, and messages for messages.log.
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from typing import NamedTuple

from pipeline.config import Settings
from pipeline.ingest.batch_folder import AT_ONCE, BatchFolder, S3Folder
from pipeline.ingest.copy_sources import CopySources
from pipeline.ingest.dicom_start import FIRST_BYTES, MOST_BYTES, DicomIdentity, is_dicom
from pipeline.ingest.labels.annotations import Annotation, Annotations
from pipeline.ingest.list_files import FileList, read_start
from pipeline.ingest.placeholder_ids import Placeholders
from pipeline.ingest.private_folder import Keys
from pipeline.ingest.walk_folder import Entry, open_below

TABLE, DICOM, FOLDER, NAME, STUDY, SCAN = "csv", "dicom", "folder", "name", "study", "scan"
TOGETHER = 512  # files whose first bytes are in memory at a time
NO_IDENTITY = DicomIdentity(None, None, None, None, None)


class Patient(NamedTuple):
    """The patient of a scan: keyed hash and what it was taken from.

    The key is null when the scan is its own patient, since its bytes were not read yet; the source
    is null when its header could not be read, and receiving decides.
    """

    key: str | None
    source: str | None


class Patients:
    """The patients of one batch; headers are read when they are first needed."""

    def __init__(
        self,
        folder: BatchFolder,
        listing: FileList,
        annotations: Annotations,
        private: Keys,
        settings: Settings,
        batch: str,
    ):
        self._batch = batch
        self._folder, self._annotations = folder, annotations
        self._private, self._settings = private, settings
        self._placeholders = Placeholders(settings.placeholder_ids)
        self._copies = CopySources(listing.scans, self._is_dicom)
        self._identities: dict[bytes, DicomIdentity | None] = {}
        self._dicoms: set[bytes] = set()
        self._patients: dict[bytes, Patient] = {}

    def read_headers(
        self, entries: Sequence[Entry], look: Callable[[Entry, bytes], None] = lambda *_: None
    ) -> None:
        """Read the headers of these files, many at once; `look` gets the first bytes of each."""
        read = partial(self._start, count=FIRST_BYTES)
        with ThreadPoolExecutor(AT_ONCE, "headers") as threads:
            for first in range(0, len(entries), TOGETHER):
                some = entries[first : first + TOGETHER]
                for entry, start in zip(some, threads.map(read, some), strict=True):
                    self._take_header(entry, start)
                    look(entry, start)

    def of(self, entry: Entry) -> Patient:
        """The patient of one scan."""
        if entry.path not in self._patients:
            self._patients[entry.path] = self._decide(entry)
        return self._patients[entry.path]

    def keys_of(self, entry: Entry) -> set[str]:
        """Every key under which the patient of a scan may have been stored or forgotten.

        Also of a PatientID in the file that a table overrules: the scan shows that person, too.
        """
        texts = [self._annotation(entry).patient, self._identity(entry).patient_id]
        texts.append(self._by_rule(entry)[0])
        keys = {key for text in texts if text for key in self._private.patient_keys(text)}
        found = self.of(entry).key
        source = self._copies.source_of(entry)
        return keys | ({found} if found else set()) | (self.keys_of(source) if source else set())

    def source_of(self, entry: Entry) -> Entry | None:
        """The scan of the batch that this one is a copy of."""
        return self._copies.source_of(entry)

    def digest(self, entry: Entry) -> str:
        """Hash of a scan's annotation; a patient named by a setting is part of it.

        So scans are listed again when such a setting comes or changes, as for a corrected table.
        """
        annotation = self._annotation(entry)
        digest, (text, _) = annotation.digest(), self._by_rule(entry)
        if annotation.patient or text is None:
            return digest
        return sha256(f"{digest}{self._private.patient_key(text)}".encode()).hexdigest()[:16]

    def has_placeholder(self, entry: Entry) -> bool:
        """Whether the DICOM PatientID of a scan is a placeholder."""
        found = self._identity(entry).patient_id
        return found is not None and self._placeholders.has(found)

    def shared_ids(self, entries: Iterable[Entry]) -> list[str]:
        """Messages about DICOM PatientIDs that these scans give to different people."""
        seen: dict[str, tuple[set, set, set]] = defaultdict(lambda: (set(), set(), set()))
        texts = {}
        for entry in entries:
            identity = self._identity(entry)
            if identity.patient_id is None or self._placeholders.has(identity.patient_id):
                continue
            key = self._private.patient_key(identity.patient_id)
            texts[key] = identity.patient_id
            facts = identity.name, identity.birth_date, identity.sex
            for values, fact in zip(seen[key], facts, strict=True):
                if fact and (normal := " ".join(re.split(r"[\s^=]+", fact.casefold())).strip()):
                    values.add(self._private.keyed("identity", normal))
        return [
            f"PatientID {texts[key]} came with {len(names)} names, {len(births)} birth dates and "
            f"{len(sexes)} sexes; it may stand for several people"
            for key, (names, births, sexes) in seen.items()
            if max(len(names), len(births), len(sexes)) > 1
        ]

    def _decide(self, entry: Entry) -> Patient:
        identity = self._identity(entry)
        patient_id = self._annotation(entry).patient
        if patient_id and not self._placeholders.has_word(patient_id):
            return Patient(self._private.patient_key(patient_id), TABLE)
        if identity.patient_id and not self._placeholders.has(identity.patient_id):
            return Patient(self._private.patient_key(identity.patient_id), DICOM)
        source = self._copies.source_of(entry)
        if source and (found := self.of(source)).source not in (SCAN, None):
            return found
        text, kind = self._by_rule(entry)
        if text is not None:
            return Patient(self._private.patient_key(text), kind)
        if identity.study:
            return Patient(self._private.keyed("study", identity.study), STUDY)
        return self._without_id(entry, source)

    def _without_id(self, entry: Entry, source: Entry | None) -> Patient:
        """The patient of a scan that nothing names: its source's, its fellow copies', its own."""
        if source and (key := self.of(source).key or self._key_by_content(source)):
            return Patient(key, SCAN)
        if group := self._copies.group_of(entry):
            # A name such as 1_aug_2.png means another scan in another batch.
            text = f"{self._batch}\0{group}".encode("utf-8", "surrogateescape")
            return Patient(self._private.keyed("copies", text), NAME)
        readable = self._identities.get(entry.path) is not None or not self._is_dicom(entry)
        return Patient(None, SCAN if readable else None)

    def _by_rule(self, entry: Entry) -> tuple[str | None, str]:
        """What the settings take from folder or name as the patient, and which of them."""
        folder, name = os.path.split(os.fsdecode(entry.path))
        rule, texts = self._settings.patient_folders, []
        if isinstance(rule, int):
            texts.append(("/".join(folder.split("/")[rule - 1 : rule]), FOLDER))
        elif rule is not None and (found := re.search(rule, folder)):
            texts.append((found[1], FOLDER))
        rule = self._settings.patient_names
        if rule is not None and (found := re.search(rule, name)):
            texts.append((found[1], NAME))
        usable = ((t, kind) for t, kind in texts if t and not self._placeholders.has_word(t))
        return next(usable, (None, SCAN))

    def _annotation(self, entry: Entry) -> Annotation:
        return self._annotations.by_path.get(entry.path, Annotation())

    def _is_dicom(self, entry: Entry) -> bool:
        self._identity(entry)
        return entry.path in self._dicoms

    def _identity(self, entry: Entry) -> DicomIdentity:
        if entry.path not in self._identities:
            self._take_header(entry, self._start(entry, FIRST_BYTES))
        return self._identities[entry.path] or NO_IDENTITY

    def _take_header(self, entry: Entry, start: bytes) -> None:
        if not is_dicom(start):
            self._identities[entry.path] = NO_IDENTITY
            return
        from pipeline.ingest.dicom.header import read_identity  # imports pydicom

        self._dicoms.add(entry.path)
        identity = read_identity(start, whole=entry.size <= len(start))
        if identity is None and entry.size > len(start):
            start = self._start(entry, MOST_BYTES)
            identity = read_identity(start, whole=entry.size <= len(start))
        self._identities[entry.path] = identity

    def _start(self, entry: Entry, count: int) -> bytes:
        """The first bytes of a file; none if it cannot be read: receiving gives the reason."""
        if entry.kind != "file" or not entry.size:
            return b""
        return read_start(self._folder, entry, count, self._settings.follow_links)

    def _key_by_content(self, entry: Entry) -> str | None:
        """The key of a scan that is its own patient, as receiving makes it; None if unreadable."""
        digest = sha256()
        try:
            if isinstance(self._folder, S3Folder):
                digest.update(self._folder.read(entry.path)[0])
            else:
                links = self._settings.follow_links
                place = os.fsencode(self._folder), entry.path
                with open(open_below(*place, os.O_RDONLY, links), "rb") as file:
                    for block in iter(lambda: file.read(1 << 20), b""):
                        digest.update(block)
        except OSError:
            return None
        return self._private.keyed("scan", digest.hexdigest()[:32])
