"""A batch with made-up identifiers in every place where a delivery may carry one.

Each begins with ZZMARK, so that one search finds them all, in plain text and in other encodings.
"""

import base64
import itertools
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pydicom
from PIL import Image, PngImagePlugin, TiffImagePlugin
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from tests.builders.scans import panoramic, scan, write_files

MARK = "ZZMARK"
_numbers = itertools.count(1)
ISSUED: list[str] = []  # every identifier of this process


def new_identifier(place: str) -> str:
    """An identifier that names the place it is written to, such as ZZMARKEXIF007."""
    ISSUED.append(f"{MARK}{place}{next(_numbers):03d}")
    return ISSUED[-1]


def identifier_batch(root: Path) -> Path:
    """Write the batch, below folders named by identifiers.

    5 good scans, 4 that are rejected, and 1 that waits for its table.
    """
    folder = root / new_identifier("BATCH") / new_identifier("INBOX")
    inner = folder / new_identifier("FOLDER")
    inner.mkdir(parents=True)
    in_exif, in_text, in_tags = (new_identifier(place) for place in ("NAME", "NAME", "NAME"))
    _jpeg(inner / f"{in_exif}.jpg")
    _png(inner / f"{in_text}.png")
    _tiff(folder / f"{in_tags}.tif")
    _dicom(folder / f"{new_identifier('NAME')}.dcm")
    _dicom(folder / new_identifier("NOSUFFIX"), broken=True)
    (folder / f"{new_identifier('TRUNCATED')}.jpg").write_bytes(
        (inner / f"{in_exif}.jpg").read_bytes()[:700]
    )
    (folder / f"{new_identifier('TEXT')}.png").write_text(f"patient {new_identifier('CONTENT')}")
    (folder / f"{new_identifier('LINK')}.png").symlink_to(root / f"{new_identifier('TARGET')}.png")
    write_files(folder, **{f"{new_identifier('BOXED')}_png": panoramic()})
    _labels(folder, in_tags, ISSUED[-1])
    return folder


def _jpeg(path: Path) -> None:
    exif = Image.Exif()
    for tag in (0x010E, 0x013B, 0x8298, 0x0131):  # description, artist, copyright, software
        exif[tag] = new_identifier("EXIF")
    inside = exif.get_ifd(0x8769)
    inside[0x9286] = new_identifier("COMMENT").encode()
    inside[0x9003] = new_identifier("DATE")
    Image.fromarray(scan()).save(path, exif=exif, comment=new_identifier("JPEGCOMMENT").encode())


def _png(path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Patient", new_identifier("PNGTEXT"))
    text.add_text("Comment", new_identifier("PNGZTXT"), zip=True)
    text.add_itxt("Author", new_identifier("PNGITXT"))
    Image.fromarray(scan()).save(path, pnginfo=text)


def _tiff(path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in (270, 315, 316, 33432):  # description, artist, host, copyright
        tags[tag] = new_identifier("TIFFTAG")
    Image.fromarray(scan()).save(path, tiffinfo=tags)


def _dicom(path: Path, broken: bool = False) -> None:
    """A DICOM file with identifiers in elements of every kind; a broken one ends in its pixels."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.SourceApplicationEntityTitle = new_identifier("AE")
    uid = pydicom.uid.generate_uid(entropy_srcs=[new_identifier("UIDSOURCE")])
    ISSUED.append(str(uid))  # UIDs are digits and cannot contain ZZMARK
    dataset.SOPClassUID = pydicom.uid.DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = dataset.StudyInstanceUID = uid
    dataset.PatientName = f"{new_identifier('FAMILY')}^{new_identifier('GIVEN')}"
    dataset.PatientID, dataset.InstitutionName = new_identifier("ID"), new_identifier("INSTITUTION")
    dataset.PatientBirthDate = "19" + "470213"
    dataset.StudyDescription, dataset.PatientComments = (
        new_identifier("STUDY"),
        new_identifier("COMMENTS"),
    )
    dataset.ReferringPhysicianName, dataset.AccessionNumber = (
        new_identifier("DOCTOR"),
        new_identifier("ACC"),
    )
    nested, deeper = Dataset(), Dataset()
    nested.PatientName, deeper.PatientID = new_identifier("NESTED"), new_identifier("DEEPER")
    nested.OtherPatientIDsSequence = Sequence([deeper])
    dataset.OtherPatientIDsSequence = Sequence([nested])
    block = dataset.private_block(0x0011, new_identifier("CREATOR"), create=True)
    block.add_new(1, "LO", new_identifier("PRIVATE"))
    block.add_new(2, "UN", new_identifier("UNKNOWN").encode())
    dataset.Modality = "IO"
    dataset.SpecificCharacterSet = "ISO_IR 192"
    pixels = scan()
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path, enforce_file_format=True)
    if broken:
        path.write_bytes(path.read_bytes()[: -pixels.size // 2])


def _labels(folder: Path, whole: str, boxed: str) -> None:
    lines = [
        f"file,patient,label,x,y,w,h,{new_identifier('COLUMN')}",
        f"{whole}.tif,{new_identifier('PATIENT')},healthy,,,,,{new_identifier('EXTRA')}",
        f"{boxed}.png,{new_identifier('PATIENT')},caries,40,20,10,10,",
        f"{boxed}.png,,{new_identifier('class')}!?,70,20,10,10,",
        f"{boxed}.png,,healthy,{new_identifier('NUMBER')},20,10,10,",
        f"{new_identifier('MISSING')}.png,{new_identifier('PATIENT')},healthy,,,,,",
    ]
    (folder / f"{new_identifier('TABLE')}.csv").write_text("\n".join(lines))
    (folder / "classes.txt").write_text("healthy\ncaries\n")
    (folder / f"{boxed}.txt").write_text(f"9 0.5 0.5 0.1 0.1\n{new_identifier('YOLO')} 1 2\n")
    _coco(folder, boxed)
    _voc_and_labelme(folder, boxed)
    (folder / "data.yaml").write_text(
        f"path: /{new_identifier('YAMLPATH')}\ntrain: {new_identifier('YAMLTRAIN')}\n"
        "names: [healthy, caries]\n"
    )
    waiting = folder / new_identifier("WAITING")  # since its table cannot be read
    write_files(waiting, **{f"{new_identifier('BESIDE')}_png": scan()})
    (waiting / f"{new_identifier('BINARY')}.csv").write_bytes(
        b"file,label\n\xff\xfe" + MARK.encode()
    )


def _coco(folder: Path, boxed: str) -> None:
    """Boxes of an image that exists and of one that does not, an unlisted class, a cut-off file."""
    content = {
        "info": {
            "contributor": new_identifier("CONTRIBUTOR"),
            "description": new_identifier("ABOUT"),
        },
        "images": [
            {"id": 1, "file_name": f"{boxed}.png", "width": 120, "height": 60},
            {
                "id": 2,
                "file_name": f"{new_identifier('COCOMISSING')}.png",
                "patient": new_identifier("COCOPATIENT"),
            },
        ],
        "categories": [{"id": 1, "name": "caries", "supercategory": new_identifier("SUPER")}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 10, 10]},
            {
                "id": 2,
                "image_id": 1,
                "category_id": new_identifier("CATEGORY"),
                "bbox": [30, 20, 10, 10],
            },
            {"id": 3, "image_id": 2, "category_id": 1, "bbox": [1, 1, 5, 5]},
            {
                "id": new_identifier("ANNOTATION"),
                "image_id": 1,
                "category_id": 1,
                "bbox": [new_identifier("BOX")],
            },
        ],
    }
    (folder / f"{new_identifier('COCO')}.json").write_text(json.dumps(content))
    (folder / f"{new_identifier('STUMP')}.json").write_text(
        '{"images": [' + json.dumps(new_identifier("INSTUMP"))
    )


def _voc_and_labelme(folder: Path, boxed: str) -> None:
    """Files of one scan each, with unusable shapes, unread attributes, and one of another form."""
    (folder / f"{boxed}.xml").write_text(
        f"<annotation><folder>{new_identifier('FOLDER')}</folder><filename>{boxed}.png</filename>"
        f"<path>C:\\{new_identifier('VOCPATH')}\\{boxed}.png</path><object>"
        f"<name>{new_identifier('VOCCLASS')}!</name><bndbox><xmin>20</xmin><ymin>20</ymin>"
        "<xmax>40</xmax><ymax>40</ymax></bndbox><attributes><attribute>"
        f"<name>{new_identifier('ATTRIBUTE')}</name><value>{new_identifier('VALUE')}</value>"
        "</attribute></attributes></object></annotation>"
    )
    shape = {"label": "caries", "shape_type": new_identifier("SHAPE"), "points": [[1, 2]]}
    content = {
        "imagePath": f"..\\{new_identifier('LABELME')}.png",
        "imageData": new_identifier("PIXELS"),
        "shapes": [shape],
        "flags": {},
    }
    (folder / f"{new_identifier('LABELME')}.json").write_text(json.dumps(content))
    (folder / f"{new_identifier('OTHER')}.xml").write_text(f"<{new_identifier('TAG')}/>")


def identifier_pattern() -> re.Pattern:
    """Matches identifiers in plain text, UTF-16 and base64 at any offset."""
    forms = {MARK.encode(), MARK.encode("utf-16-le"), MARK.encode("utf-16-be")}
    forms |= {MARK.lower().encode()}
    for offset in range(3):
        encoded = base64.b64encode(b"x" * offset + MARK.encode())
        # Only the characters that do not depend on what comes before and after.
        forms.add(encoded[2 * (offset > 0) + (offset == 2) : 4 * ((offset + len(MARK)) // 3)])
    uids = {each.encode() for each in ISSUED if not each.startswith(MARK)}
    birth_date = {b"19" + b"470213"}
    return re.compile(b"|".join(re.escape(form) for form in sorted(forms | uids | birth_date)))


def files_with_identifiers(root: Path) -> list[Path]:
    """Files below a folder that contain an identifier: in their bytes or in a value of Parquet."""
    pattern, found = identifier_pattern(), []
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        texts = [str(path.relative_to(root)).encode(), path.read_bytes()]
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            texts += [repr(column.to_pylist()).encode() for column in table.columns]
            texts += [
                buffer.to_pybytes()
                for column in table.columns
                for chunk in column.chunks
                for buffer in chunk.buffers()
                if buffer
            ]
        if any(pattern.search(text) for text in texts):
            found.append(path)
    return found
