"""Every column of every table: name, type, unit and meaning, in the order in which it is stored.

Places are whole source pixels, x to the right and y down, of the scan as a person sees it (after
EXIF or DICOM orientation). No column holds delivered text except label names and the batch name;
everything else is computed from the pixels or is a keyed hash.
"""

from typing import NamedTuple

import pyarrow as pa

TEXT, FLAG, TEXTS = pa.string(), pa.bool_(), pa.list_(pa.string())
INT8, INT16, INT32, INT64 = pa.int8(), pa.int16(), pa.int32(), pa.int64()
FLOAT32, FLOAT64, FLOATS = pa.float32(), pa.float64(), pa.list_(pa.float32())
TIME = pa.timestamp("us", tz="UTC")


class Column(NamedTuple):
    """One column of a table; `fields` describes the values of a nested one."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    fields: tuple["Column", ...] = ()


BATCH = Column("batch", TEXT, "Name of the batch the scan was delivered in")
PART = Column("part", INT32, "Number of the part; the same number means the same files everywhere")
SCAN_ID = Column("scan_id", TEXT, "First 32 hex digits of the SHA-256 of the file's bytes")
READ_SCAN_ID = SCAN_ID._replace(meaning=f"{SCAN_ID.meaning}; null for a file that was not read")
CROP_ID = Column("crop_id", TEXT, "scan_id:region; the same id is the same picture area")
RECIPE = Column("recipe", TEXT, "Fingerprint of the crop settings")
TRUNK = Column("trunk", TEXT, "Fingerprint of the network that made the embedding")
HEAD = Column("head", TEXT, "Fingerprint of the classifier")
PATIENT_KEY = Column(
    "patient_key", TEXT, "Keyed hash of the patient ID; without one, of the scan itself"
)

REGION = (
    Column("x", INT32, "Left edge of the box", "px"),
    Column("y", INT32, "Top edge of the box", "px"),
    Column("w", INT32, "Width of the box", "px"),
    Column("h", INT32, "Height of the box", "px"),
    Column("label", TEXT, "Class of the box as delivered; null when none was given"),
    Column("tooth", INT8, "Tooth number as delivered; null when none was given", "FDI"),
    Column(
        "new", FLAG, "No earlier row of this scan has this box, so its crop belongs to this row"
    ),
)
REGION_TYPE = pa.struct([(field.name, field.type) for field in REGION])

SCANS = (
    BATCH,
    PART,
    Column("row", INT32, "Position of the file in the delivery list of its part, from 0"),
    Column("attempt", INT16, "Which delivery of this file it is: 1 for the first"),
    Column("file_key", TEXT, "Keyed hash of the file's path within its batch"),
    READ_SCAN_ID,
    Column("status", TEXT, "accepted, duplicate or rejected"),
    Column("reason", TEXT, "Short code of the rejection; null unless rejected"),
    Column("detail", TEXT, "The rejection as a sentence, without any delivered name"),
    Column("duplicate_of", TEXT, "Batch in which the same bytes were accepted before; else null"),
    Column("format", TEXT, "jpeg, png, tiff, bmp, webp or dicom"),
    Column("bytes", INT64, "Size of the file", "bytes"),
    Column("width", INT32, "Width of the scan", "px"),
    Column("height", INT32, "Height of the scan", "px"),
    Column("frames", INT32, "Number of frames"),
    Column("bits", INT8, "Bit depth of the sensor, per sample", "bits"),
    Column("bits_from", TEXT, "Source of the bit depth: file, dicom, csv or guessed"),
    Column("bits_used", INT8, "Bits that the brightest value needs; 16-bit PNG and TIFF", "bits"),
    Column("colour", FLAG, "Delivered in colour; crops are luminance"),
    Column("modality", TEXT, "DICOM modality (PX, IO, DX …); null for other formats"),
    Column("transfer_syntax", TEXT, "Name of the DICOM transfer syntax; null for other formats"),
    Column("pixel_spacing_x", FLOAT32, "Distance of columns, in the patient or detector", "mm"),
    Column("pixel_spacing_y", FLOAT32, "Distance of rows, in the patient or detector", "mm"),
    Column("orientation", TEXT, "DICOM directions of rows and columns, as in L/F"),
    Column(
        "panoramic", FLAG, "Treated as a panoramic: DICOM PX, or at least 1.5 times as wide as high"
    ),
    # Measured on the first frame's thumbnail (256 pixels) without its border: imaging/quality.py.
    Column("brightness", FLOAT32, "Mean of the thumbnail", "grey levels, 0–255"),
    Column("contrast", FLOAT32, "Standard deviation of the thumbnail", "grey levels"),
    Column("sharpness", FLOAT32, "Variance of the Laplacian of the thumbnail", "grey levels²"),
    Column("dark_share", FLOAT32, "Black pixels of the thumbnail", "share, 0–1"),
    Column("bright_share", FLOAT32, "White pixels of the thumbnail", "share, 0–1"),
    Column("quality_flags", TEXTS, "Names of the quality bounds it fails, such as blurred"),
    Column("likeness", TEXT, "Perceptual hash, 16 hex digits; null for a blank scan"),
    PATIENT_KEY,
    Column(
        "patient_from",
        TEXT,
        "Source of the patient: csv, dicom, folder, name, study, or scan without one",
    ),
    Column("regions", pa.list_(REGION_TYPE), "Boxes as annotated", fields=REGION),
    Column("label_problems", INT32, "Annotations of this file that could not be used"),
    Column(
        "box_problems",
        TEXTS,
        "Kinds of problems of its boxes, one for each: clipped_box, box_outside, two_classes",
    ),
    Column(
        "likeness_turned",
        pa.list_(pa.uint64()),
        "Perceptual hashes of the centre as it is, then mirrored and turned; null for a blank scan",
    ),
    Column(
        "given_side",
        TEXT,
        "Side that the folder names: train, validation or test; null unless `given_splits` is set",
    ),
)

CROPS = (
    CROP_ID,
    SCAN_ID,
    BATCH,
    RECIPE,
    PATIENT_KEY,
    Column(
        "region",
        TEXT,
        "whole, or box-, tooth-, drawn- or background-x-y-w-h; f0003- before it for frames",
    ),
    Column(
        "region_kind", TEXT, "whole, box (annotated), tooth (found), drawn (reviewed) or background"
    ),
    Column("tooth", INT8, "Tooth number as delivered; null when none was given", "FDI"),
    Column(
        "tooth_guess", INT8, "Tooth number of a found place from its position; else null", "FDI"
    ),
    Column("tooth_confidence", FLOAT32, "Probability that tooth_guess is right", "0–1"),
    Column("box_x", INT32, "Left edge of the square that was cut; may be outside the scan", "px"),
    Column("box_y", INT32, "Top edge of that square", "px"),
    Column("box_w", INT32, "Width of that square", "px"),
    Column("box_h", INT32, "Height of that square", "px"),
    Column("region_x", INT32, "Left edge of the annotated box, found place or picture area", "px"),
    Column("region_y", INT32, "Top edge of that area", "px"),
    Column("region_w", INT32, "Width of that area", "px"),
    Column("region_h", INT32, "Height of that area", "px"),
    Column("scan_w", INT32, "Width of the scan", "px"),
    Column("scan_h", INT32, "Height of the scan", "px"),
    Column("modality", TEXT, "DICOM modality of the scan; null for other formats"),
    Column("panoramic", FLAG, "The scan is treated as a panoramic"),
    Column("label", TEXT, "Class as delivered; the labels table holds the label in force"),
)

PREDICTIONS = (
    CROP_ID,
    SCAN_ID,
    BATCH,
    RECIPE,
    TRUNK,
    HEAD,
    PATIENT_KEY,
    Column("predicted", TEXT, "Class with the highest probability"),
    Column("probabilities", FLOATS, "Class probabilities in the order of the head's card; sum 1"),
    Column("p_abnormal", FLOAT32, "1 − P(normal class), times P(not background) at a found place"),
    Column("flagged", FLAG, "p_abnormal reaches the head's threshold"),
    Column("seen", FLAG, "The head was trained or validated on this patient"),
)

NOVELTY = (
    CROP_ID,
    SCAN_ID,
    BATCH,
    RECIPE,
    TRUNK,
    Column("novelty", TEXT, "Fingerprint of the novelty model"),
    PATIENT_KEY,
    Column(
        "gaussian",
        FLOAT32,
        "Mahalanobis distance of the cells from normal at their places: the largest, or the mean "
        "(setting `novelty.score`)",
    ),
    Column(
        "neighbour", FLOAT32, "The same of the cells' distances from their nearest normal patches"
    ),
    Column("peak_row", INT16, "Row of the trunk's map with the largest gaussian distance"),
    Column("peak_column", INT16, "Column of that cell"),
    Column("learned", FLAG, "The model was fitted on this crop"),
)

OUT_OF_FOLD = (
    HEAD,
    TRUNK,
    CROP_ID,
    PATIENT_KEY,
    Column("fold", INT16, "Fold that held the crop out"),
    Column("label", TEXT, "Label in force when the head was trained"),
    Column("self_confidence", FLOAT32, "P(label) by a model trained without the crop", "0–1"),
    Column("suggested", TEXT, "Most probable class by that model"),
    Column("confidence", FLOAT32, "P(suggested) by that model", "0–1"),
)

# Facts of a scan that drift compares, by name in `SCANS`: how it was taken and how good it is.
DRIFT_NUMBERS = (
    "brightness",
    "contrast",
    "sharpness",
    "dark_share",
    "bright_share",
    "width",
    "height",
    "pixel_spacing_x",
)
DRIFT_WORDS = ("format", "bits", "colour", "transfer_syntax", "region_kind")
# Of every delivered file, whether it became a scan or not.
DRIFT_FILE_WORDS = ("status", "modality")
_MEANINGS = {column.name: column for column in (*SCANS, *CROPS)}

REFERENCE = (
    BATCH,
    PART,
    READ_SCAN_ID,
    PATIENT_KEY,
    *(_MEANINGS[name]._replace(type=FLOAT64) for name in DRIFT_NUMBERS),
    *(_MEANINGS[name]._replace(type=TEXT) for name in (*DRIFT_WORDS, *DRIFT_FILE_WORDS)),
    Column("embeddings", FLOATS, "64 fixed random projections, mean over the scan's crops"),
    Column("channels", FLOATS, "Mean and deviation of every channel, mean over the scan's crops"),
)

DRIFT = (
    BATCH,
    Column("part", INT32, "Last part of the batch when it was compared"),
    TRUNK,
    Column("reference", TEXT, "Fingerprint of the reference"),
    Column("modality", TEXT, "DICOM modality, else PX or other; files for all delivered files"),
    Column("state", TEXT, "compared, too_few, no_reference, or reference: the batch is part of it"),
    Column("patients", INT32, "Patients of the batch that were compared"),
    Column("reference_patients", INT32, "Patients of the reference"),
    Column(
        "fact", TEXT, "What was compared; this and all that follow but words are null otherwise"
    ),
    Column("distance", FLOAT64, "Distance between batch and reference"),
    Column("by_chance", FLOAT64, "Distance that chance exceeds once in a hundred"),
    Column("p_value", FLOAT64, "Corrected for all facts and modalities of the batch", "0–1"),
    Column("alert", FLAG, "p_value is at most the alarm rate"),
    Column("words", TEXT, "The difference, or why nothing was compared, as a phrase"),
)

AUDITS = (
    BATCH,
    Column("night", INT32, "Last part of the batch when the crop was drawn"),
    CROP_ID,
    SCAN_ID,
    PATIENT_KEY,
)

LABELS = (
    CROP_ID,
    SCAN_ID,
    BATCH,
    Column(
        "label", TEXT, "Class; null unless it was delivered or the decision is label or consensus"
    ),
    Column("source", TEXT, "delivered, or the reviewer's code"),
    Column("labelled_at", TIME, "When the batch was listed or the decision was made", "UTC"),
    Column(
        "decision",
        TEXT,
        "label, withdraw, unsure, undo (the reviewer's latest decision about the crop counts as "
        "never made) or consensus; null for a delivered label",
    ),
)

REGIONS = (
    SCAN_ID,
    BATCH._replace(meaning="Name of the batch in which the scan was accepted"),
    Column("region", TEXT, "The place, drawn-x-y-w-h; of kind withdrawn, the name of any region"),
    Column("kind", TEXT, "missed (a finding without a box), moved or withdrawn"),
    Column("x", INT32, "Left edge of the drawn box; null, as all four, of kind withdrawn", "px"),
    Column("y", INT32, "Top edge of the box", "px"),
    Column("w", INT32, "Width of the box", "px"),
    Column("h", INT32, "Height of the box", "px"),
    Column("tooth", INT8, "Tooth number as the reviewer gave it; else null", "FDI"),
    Column("replaces", TEXT, "Region that the moved box stands for; else null"),
    Column("source", TEXT, "Code of the reviewer"),
    Column("drawn_at", TIME, "When the decision was made", "UTC"),
    Column("withdrawn", FLAG, "The region is out of force; false again when that was taken back"),
    Column("new", FLAG, "No earlier row drew this box, so its crop belongs to this part"),
)


def crop_columns(side: int) -> tuple[Column, ...]:
    """Columns of a crop with its `side` × `side` pixels."""
    meaning = f"{side} × {side} uint8, row by row, brighter meaning denser"
    return (*CROPS, Column("pixels", pa.binary(side * side), meaning, "grey levels, 0–255"))


def feature_columns(width: int) -> tuple[Column, ...]:
    """Columns of a crop with its embedding of `width` values instead of the pixels."""
    # The item must not be nullable for pandas and NumPy to see the values without a copy.
    item = pa.field("element", pa.float16(), nullable=False)
    meaning = "The trunk's output, flattened in (row, column, channel) order"
    return (*CROPS, TRUNK, Column("embedding", pa.list_(item, width), meaning))
