"""The columns of every Parquet table this project writes, and nothing else.

Places are whole source pixels, x to the right and y down, of the scan as a person sees it (after
EXIF or DICOM orientation). No column holds anything that was delivered, but labels and what is
computed from pixels; the batch name is the one text of the user's.
"""

import pyarrow as pa

VERSION = 2  # of the store's layout and columns; stands in store.json

REGION = pa.struct(
    [
        ("x", pa.int32()),
        ("y", pa.int32()),
        ("w", pa.int32()),
        ("h", pa.int32()),
        ("label", pa.string()),  # null when nobody said
        ("tooth", pa.int8()),  # FDI number; null when nobody said
        ("new", pa.bool_()),  # no earlier row of this scan told of it, so its crop came with this
    ]
)

SCANS = pa.schema(
    [
        ("batch", pa.string()),
        ("part", pa.int32()),
        ("row", pa.int32()),  # place in the part's delivery list
        ("attempt", pa.int16()),  # 1 for a file's first delivery
        ("file_key", pa.string()),  # keyed hash of the file's place in its batch
        ("scan_id", pa.string()),  # null for a file that could not be read
        ("status", pa.string()),  # accepted, duplicate or rejected
        ("reason", pa.string()),  # short code; null unless rejected
        ("detail", pa.string()),  # the rejection in words, without any name that was delivered
        ("duplicate_of", pa.string()),  # batch where the same bytes were accepted before
        ("format", pa.string()),  # jpeg, png, tiff, bmp or dicom
        ("bytes", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("frames", pa.int32()),
        ("bits", pa.int8()),  # of the sensor, per sample
        ("bits_from", pa.string()),  # file, dicom, csv or guessed
        ("colour", pa.bool_()),  # delivered in colour; crops are luminance
        ("modality", pa.string()),  # DICOM's (PX, IO, DX …); null elsewhere
        ("transfer_syntax", pa.string()),  # DICOM's, by the standard's name; null elsewhere
        ("pixel_spacing_x", pa.float32()),  # mm between columns, in the patient or on the detector
        ("pixel_spacing_y", pa.float32()),  # mm between rows
        ("orientation", pa.string()),  # DICOM's: where rows and columns point, as in L/F
        ("panoramic", pa.bool_()),
        # Of the first frame's thumbnail (256 pixels), without its border; see imaging/quality.py.
        ("brightness", pa.float32()),  # mean grey level, 0 to 255
        ("contrast", pa.float32()),  # standard deviation of grey levels
        ("sharpness", pa.float32()),  # variance of the Laplacian
        ("dark_share", pa.float32()),  # of pixels that are black
        ("bright_share", pa.float32()),  # of pixels that are white
        ("quality_flags", pa.list_(pa.string())),  # empty when nothing is out of bounds
        ("likeness", pa.string()),  # perceptual hash, 16 hex digits; null for a blank scan
        ("patient_key", pa.string()),
        ("patient_from", pa.string()),  # dicom, csv, or scan when nobody said
        ("regions", pa.list_(REGION)),  # as annotated
        ("label_problems", pa.int32()),  # annotation lines of this file that could not be used
    ]
)

CROP_FACTS = [
    ("crop_id", pa.string()),  # scan_id:region
    ("scan_id", pa.string()),
    ("batch", pa.string()),
    ("recipe", pa.string()),
    ("patient_key", pa.string()),
    ("region", pa.string()),  # whole, or box-, tooth- or background-x-y-w-h
    ("region_kind", pa.string()),  # whole, box (annotated), tooth (found) or background
    ("tooth", pa.int8()),  # FDI number as delivered; null when nobody said
    ("tooth_guess", pa.int8()),  # of a found place, from its position alone; null when unsure
    ("tooth_confidence", pa.float32()),  # the chance that the guess is right; null without one
    ("box_x", pa.int32()),  # the square that was cut; may reach outside the scan
    ("box_y", pa.int32()),
    ("box_w", pa.int32()),
    ("box_h", pa.int32()),
    ("region_x", pa.int32()),  # the annotated box, found place or picture area it was cut for
    ("region_y", pa.int32()),
    ("region_w", pa.int32()),
    ("region_h", pa.int32()),
    ("scan_w", pa.int32()),
    ("scan_h", pa.int32()),
    ("modality", pa.string()),
    ("panoramic", pa.bool_()),
    ("label", pa.string()),  # as delivered; the labels table has the last word
]

# What parts of earlier versions lack; it is read as null.
LATER = pa.schema([field for field in CROP_FACTS if field[0].startswith("tooth_")])

PREDICTIONS = pa.schema(
    [
        ("crop_id", pa.string()),
        ("scan_id", pa.string()),
        ("batch", pa.string()),
        ("recipe", pa.string()),
        ("trunk", pa.string()),
        ("head", pa.string()),
        ("patient_key", pa.string()),
        ("predicted", pa.string()),  # the class with the highest probability
        # In the order of the head's card; what is no finding is left out, so they sum to 1.
        ("probabilities", pa.list_(pa.float32())),
        # 1 − probability of the normal class, times that of anything at all at a found place.
        ("p_abnormal", pa.float32()),
        ("flagged", pa.bool_()),  # p_abnormal reaches the head's operating point
        ("seen", pa.bool_()),  # the head learned from this patient (training or validation)
    ]
)

NOVELTY = pa.schema(
    [
        ("crop_id", pa.string()),
        ("scan_id", pa.string()),
        ("batch", pa.string()),
        ("recipe", pa.string()),
        ("trunk", pa.string()),
        ("novelty", pa.string()),
        ("patient_key", pa.string()),
        ("gaussian", pa.float32()),  # the greatest distance of a cell from what is normal there
        ("neighbour", pa.float32()),  # the greatest distance of a cell from any normal patch
        ("peak_row", pa.int16()),  # of the trunk's map: the cell with the gaussian's greatest
        ("peak_column", pa.int16()),
        ("learned", pa.bool_()),  # the model learned from this very crop
    ]
)

OUT_OF_FOLD = pa.schema(
    [
        ("head", pa.string()),
        ("trunk", pa.string()),
        ("crop_id", pa.string()),
        ("patient_key", pa.string()),
        ("fold", pa.int16()),
        ("label", pa.string()),  # in force when the head was trained
        ("self_confidence", pa.float32()),  # probability of that label, by a model without it
        ("suggested", pa.string()),  # the likeliest class
        ("confidence", pa.float32()),  # its probability
    ]
)

# Of a scan, as drift compares them: how it was taken, how good it is.
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
# Of every file, whether it became a scan or not.
DRIFT_FILE_WORDS = ("status", "modality")

# The scans that a reference is made of, one row each, or files for the modality `files`. Columns
# that are not compared are null.
REFERENCE = pa.schema(
    [
        ("batch", pa.string()),
        ("part", pa.int32()),
        ("scan_id", pa.string()),  # null for a file that could not be read
        ("patient_key", pa.string()),
        *((name, pa.float64()) for name in DRIFT_NUMBERS),
        *((name, pa.string()) for name in (*DRIFT_WORDS, *DRIFT_FILE_WORDS)),
        ("embeddings", pa.list_(pa.float32())),  # see model/drift.py; means over the scan's crops
        ("channels", pa.list_(pa.float32())),
    ]
)

DRIFT = pa.schema(
    [
        ("batch", pa.string()),
        ("part", pa.int32()),  # the last that the batch had
        ("trunk", pa.string()),
        ("reference", pa.string()),
        ("modality", pa.string()),  # DICOM's, else PX or other; files: of every delivered file
        ("state", pa.string()),  # compared, too_few, no_reference, or reference: it is part of it
        ("patients", pa.int32()),  # of the batch, as far as they were compared
        ("reference_patients", pa.int32()),
        ("fact", pa.string()),  # null unless compared, as is all that follows but the words
        ("distance", pa.float64()),
        ("by_chance", pa.float64()),  # the distance that chance exceeds once in a hundred
        ("p_value", pa.float64()),  # of all facts and modalities of the batch together
        ("alert", pa.bool_()),
        ("words", pa.string()),
    ]
)

AUDITS = pa.schema(
    [
        ("batch", pa.string()),
        ("night", pa.int32()),  # the batch's last part when it was drawn
        ("crop_id", pa.string()),
        ("scan_id", pa.string()),
        ("patient_key", pa.string()),
    ]
)

LABELS = pa.schema(
    [
        ("crop_id", pa.string()),
        ("scan_id", pa.string()),
        ("batch", pa.string()),
        ("label", pa.string()),  # null withdraws
        ("source", pa.string()),  # delivered, or a reviewer's code
        ("labelled_at", pa.timestamp("us", tz="UTC")),
    ]
)


def crops(side: int) -> pa.Schema:
    """Crops of `side` × `side` grey pixels, row by row, brighter meaning denser."""
    return pa.schema([*CROP_FACTS, ("pixels", pa.binary(side * side))])


def features(width: int) -> pa.Schema:
    """Crops without pixels, with the trunk and an embedding of `width` float16 values."""
    # The item must not be nullable for pandas and NumPy to see the values without a copy.
    item = pa.field("element", pa.float16(), nullable=False)
    return pa.schema([*CROP_FACTS, ("trunk", pa.string()), ("embedding", pa.list_(item, width))])


def require(found: pa.Schema, expected: pa.Schema) -> list[str]:
    """Names of the expected columns that `found` lacks or has with another type.

    Those of `LATER` may be lacking.
    """
    wrong = []
    for field in expected:
        place = found.get_field_index(field.name)
        if place < 0 and field.name in LATER.names:
            continue
        if place < 0 or found.field(place).type != field.type:
            wrong.append(field.name)
    return wrong
