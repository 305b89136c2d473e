"""Make the rows of ledger, crops and labels from the files that were read.

Of what was delivered, only pixels, labels and keyed hashes may get into rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pipeline.imaging.regions import CLIPPED_BOX, Region
from pipeline.ingest.delivery_lists import ListedFile
from pipeline.ingest.patients import DICOM, SCAN, TABLE
from pipeline.ingest.private_folder import PrivateFolder
from pipeline.stages.duplicates import AcceptedScans
from pipeline.stages.read_scan import Read

ACCEPTED, DUPLICATE, REJECTED = "accepted", "duplicate", "rejected"


@dataclass(frozen=True)
class RowMaker:
    """Makes the rows of one part."""

    private: PrivateFolder
    batch: str
    part: int
    recipe_id: str
    listed_at: datetime

    def scan(self, listed: ListedFile, read: Read, accepted: AcceptedScans) -> dict:
        """The ledger row of one file, given the scans accepted before it."""
        earlier = accepted.batch_of(read.scan_id)
        status = ACCEPTED if earlier is None else DUPLICATE
        rejection = read.rejection
        box_problems = [kind for kind, _, _ in read.problems]
        clipped = box_problems.count(CLIPPED_BOX)  # the rest of these was used
        patient_key, patient_from = self._patient(listed, read)
        return {
            "batch": self.batch,
            "part": self.part,
            "row": listed.row,
            "attempt": listed.attempt,
            "file_key": self.private.keyed("file", self.batch.encode() + b"\0" + listed.entry.path),
            "scan_id": read.scan_id,
            "status": REJECTED if rejection else status,
            "reason": rejection.reason if rejection else None,
            "detail": rejection.message if rejection else None,
            "duplicate_of": None if rejection else earlier,
            "patient_key": patient_key,
            "patient_from": patient_from,
            "given_side": listed.given_side,
            "regions": [
                {
                    **box.place._asdict(),
                    "label": box.label,
                    "tooth": box.tooth,
                    "new": not accepted.has_box(read.scan_id, tuple(box.place)),
                }
                for box in read.boxes
            ],
            "label_problems": listed.annotation.problems + len(box_problems) - clipped,
            "box_problems": box_problems,
            **read.picture_facts,
        }

    def _patient(self, listed: ListedFile, read: Read) -> tuple[str, str]:
        """Keyed patient and its source; a scan without a patient ID counts as its own patient.

        Delivery lists of earlier versions name no source: their keys come from tables, and without
        one the file decides.
        """
        if listed.patient_key:
            return listed.patient_key, listed.patient_from or TABLE
        if read.patient and listed.patient_from is None:
            return self.private.patient_key(read.patient), DICOM
        own = read.scan_id or f"{self.batch}-{listed.part}-{listed.row}"
        return self.private.keyed("scan", own), SCAN

    def crops(self, scan: dict, read: Read, accepted: AcceptedScans) -> Iterator[dict]:
        """Crop rows that this ledger row adds: all of an accepted scan, new boxes of another.

        They have the patient for whom the scan was accepted: with two patients, a scan would be on
        two sides of the split.
        """
        patient = accepted.patient_of(scan["scan_id"])
        new = {(box["x"], box["y"], box["w"], box["h"]) for box in scan["regions"] if box["new"]}
        for region, pixels in zip(read.regions, read.crops, strict=True):
            added = (
                tuple(region.place) in new if region.kind == "box" else scan["status"] == ACCEPTED
            )
            if added and scan["status"] != REJECTED and region.kind != "background":
                of_patient = {"patient_key": patient, "pixels": pixels}
                yield self._crop(scan, region) | of_patient

    def background(self, scan: dict, read: Read) -> Iterator[dict]:
        """Rows like those of crops, of the background of an accepted scan."""
        for region, pixels in zip(read.regions, read.crops, strict=True):
            if region.kind == "background" and scan["status"] == ACCEPTED:
                yield self._crop(scan, region) | {"pixels": pixels}

    def drawn(self, scan: dict, read: Read) -> Iterator[dict]:
        """Crop rows of the boxes that reviewers drew on an accepted scan."""
        for region, pixels in zip(read.regions, read.crops, strict=True):
            yield self._crop(scan, region) | {"pixels": pixels}

    def _crop(self, scan: dict, region: Region) -> dict:
        """All columns but the pixels."""
        return {
            "crop_id": f"{scan['scan_id']}:{region.name}",
            "scan_id": scan["scan_id"],
            "batch": self.batch,
            "recipe": self.recipe_id,
            "patient_key": scan["patient_key"],
            "region": region.name,
            "region_kind": region.kind,
            "tooth": region.tooth,
            "tooth_guess": region.guess,
            "tooth_confidence": region.confidence,
            **{f"box_{side}": value for side, value in region.square._asdict().items()},
            **{f"region_{side}": value for side, value in region.place._asdict().items()},
            "scan_w": scan["width"],
            "scan_h": scan["height"],
            "modality": scan["modality"],
            "panoramic": scan["panoramic"],
            "label": region.label,
        }

    def labels(self, scan: dict, listed: ListedFile, read: Read) -> Iterator[dict]:
        """The delivered labels, also of a scan that was known before: the newest label wins."""
        if scan["status"] == REJECTED:
            return
        labels = {region.name: region.label for region in read.regions if region.label}
        # A label of the whole scan is kept although other regions were cut, for other recipes.
        if listed.annotation.label and not any(r.kind == "whole" for r in read.regions):
            labels["whole"] = listed.annotation.label
        for region, label in labels.items():
            yield self.label(scan, f"{scan['scan_id']}:{region}", label)

    def label(self, scan: dict, crop_id: str, label: str | None) -> dict:
        """The row of one delivered label; None withdraws the crop's label."""
        return {
            "crop_id": crop_id,
            "scan_id": scan["scan_id"],
            "batch": self.batch,
            "label": label,
            "source": "delivered",
            "labelled_at": self.listed_at,
        }

    def unlabelled(self, listed: ListedFile, read: Read) -> set[str]:
        """The regions of a scan that came without a label, the whole scan among them."""
        whole = set() if listed.annotation.label else {"whole"}
        return whole | {region.name for region in read.regions if not region.label}
