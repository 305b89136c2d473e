"""DICOM structured reports (TID 1500): places and probabilities, of the delivered objects.

    SCAN_ID.dcm    a Comprehensive SR for every scan that came as DICOM

Each repeats the patient and study of its object, is preliminary and unverified, and is described as
research. A measurement group is a crop with a prediction or a label: its outline in the pixels of
the delivered object, `p_abnormal`, the probability of each class, the predicted class, the label.
"""

import warnings
from importlib.metadata import version

import numpy as np

from pipeline.errors import ConfigError, ScanRejected
from pipeline.export.job import Export
from pipeline.export.pictures import accepted_scans
from pipeline.export.rows import ExportRows, box_of
from pipeline.ingest.decode import decode
from pipeline.ingest.dicom import file as dicom_file
from pipeline.ingest.orientation import turns_and_mirroring
from pipeline.progress import progress
from pipeline.report.source_scan import read_source_file

RESEARCH = "FOR RESEARCH, NOT FOR DIAGNOSIS"
SCHEME = "99DENTAL"  # of our own codes
MOST_TEXT = 64  # characters of a DICOM short description
# Elements that a report repeats and that may be empty, of which real objects lack some.
REPEATED = ("StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName")
REPEATED += ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")


def write(export: Export) -> dict[str, int]:
    """Write the reports; return how many, and how many objects could not be read again."""
    rows, accepted = export.rows.first_frames, accepted_scans(export)
    counts = {"reports": 0, "regions": 0}
    with progress("reports", len(rows.scan_ids)) as advance:
        for crops in rows.scans():
            advance(1)
            scan = accepted.get(crops[0]["scan_id"])
            stated = [row for row in crops if row["predicted"] or row["label"]]
            if scan is None or scan["format"] != "dicom" or not stated:
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # pydicom's and highdicom's quote elements
                    source, turned = _source(export, scan)
                    report = make_report(source, stated, rows, turned)
            except (ConfigError, ScanRejected, AttributeError, ValueError):
                # AttributeError and ValueError: highdicom, of an object that lacks an identifier.
                counts["unreadable objects"] = counts.get("unreadable objects", 0) + 1
                continue
            report.save_as(export.out / f"{scan['scan_id']}.dcm")
            counts["reports"] += 1
            counts["regions"] += len(stated)
    return counts


def _source(export: Export, scan: dict):
    """The delivered object, and by how much its crops were turned and whether mirrored."""
    place = scan["scan_id"], scan["batch"], scan["part"]
    data, annotation = read_source_file(export.settings, *place)
    orientation = decode(data, annotation.bits, export.settings.max_pixels).orientation
    turned = (0, False) if annotation.boxes else turns_and_mirroring(orientation)
    source = dicom_file.read(data, export.settings.max_pixels)
    for name in REPEATED:
        if name not in source:
            setattr(source, name, "")
    return source, turned


def make_report(source, crops: list[dict], rows: ExportRows, turned: tuple[int, bool]):
    """The report about some crops of one object, a dataset of `highdicom`.

    `turned` is by how many clockwise quarter turns, and whether by mirroring, the places of the
    crops differ from the pixels of the object.
    """
    from highdicom import UID, sr

    head = rows.provenance["head"] or "none"
    device = sr.DeviceObserverIdentifyingAttributes(UID(), name="dental-pipeline, research")
    observer = sr.ObserverContext(_code("121007", "DCM", "Device"), device)
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=_code("363680008", "SCT", "Radiographic imaging procedure"),
        imaging_measurements=[_group(source, row, rows, turned) for row in crops],
    )
    report = sr.ComprehensiveSR(
        evidence=[source],
        content=content[0],
        series_instance_uid=UID(),
        series_number=9999,
        sop_instance_uid=UID(),
        instance_number=1,
        manufacturer="dental-pipeline",
        is_complete=False,
        is_final=False,
    )
    report.SeriesDescription = RESEARCH
    report.CompletionFlagDescription = f"{RESEARCH}; head {head}"[:MOST_TEXT]
    report.ManufacturerModelName, report.SoftwareVersions = head, version("dental-pipeline")
    return report


def _group(source, row: dict, rows: ExportRows, turned: tuple[int, bool]):
    from highdicom import sr

    evaluations = [
        sr.QualitativeEvaluation(_own(name), _own(row[name]))
        for name in ("predicted", "label")
        if row[name] is not None
    ]
    chances = {} if row["predicted"] is None else {"p_abnormal": row["p_abnormal"]}
    if chances:
        chances |= dict(zip(rows.head_classes, row["probabilities"], strict=True))
    tooth = row["tooth"] or row["tooth_guess"]
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(identifier=row["crop_id"]),
        referenced_region=_region(source, row, turned),
        finding_type=_own("dental place"),
        algorithm_id=sr.AlgorithmIdentification(
            name=f"dental-pipeline head {rows.provenance['head']}",
            version=version("dental-pipeline"),
        ),
        finding_sites=[sr.FindingSite(_own(f"tooth {tooth} (FDI)"))] if tooth else None,
        measurements=[
            sr.Measurement(_own(name), float(value), _code("1", "UCUM", "no units"))
            for name, value in chances.items()
        ],
        qualitative_evaluations=evaluations,
    )


def _region(source, row: dict, turned: tuple[int, bool]):
    from highdicom import sr

    frames = [1] if int(source.get("NumberOfFrames") or 1) > 1 else None
    image = sr.SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID, frames)
    x, y, w, h = box_of(row)
    corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)]
    points = in_source(corners, (row["scan_w"], row["scan_h"]), *turned)
    return sr.ImageRegion("POLYLINE", np.array(points, float), image)


def in_source(
    points: list[tuple[float, float]], size: tuple[int, int], turns: int, mirrored: bool
) -> list[tuple[float, float]]:
    """Points of a picture of `size` (width, height) as they were before it was turned upright.

    Undoes what `turn_upright` did: `turns` clockwise quarter turns, then mirroring.
    """
    width, height = size
    if mirrored:
        points = [(width - x, y) for x, y in points]
    for _ in range(turns):
        points = [(y, width - x) for x, y in points]
        width, height = height, width
    return points


def _own(meaning: str):
    """A code of our own for a class or a quantity."""
    return _code(meaning.replace(" ", "-"), SCHEME, meaning)


def _code(value: str, scheme: str, meaning: str):
    from highdicom.sr import CodedConcept

    return CodedConcept(value, scheme, meaning)
