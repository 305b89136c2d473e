"""A batch full of marked identifiers, in every place where a delivery may carry one.

Every mark begins with ZZMARK, so one search finds them all, in plain text and in other forms.
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

from tests.batches import panoramic, put, scan

MARK = "ZZMARK"
_numbers = itertools.count(1)
planted: list[str] = []


def mark(place: str) -> str:
    """A new identifier, counted."""
    planted.append(f"{MARK}{place}{next(_numbers):03d}")
    return planted[-1]


def plant(root: Path) -> Path:
    """Make the batch, in a folder that is itself marked: 5 good scans and 4 that are rejected."""
    folder = root / mark("BATCH") / mark("INBOX")
    inner = folder / mark("FOLDER")
    inner.mkdir(parents=True)
    in_exif, in_text, in_tags = (mark(place) for place in ("NAME", "NAME", "NAME"))
    _jpeg(inner / f"{in_exif}.jpg")
    _png(inner / f"{in_text}.png")
    _tiff(folder / f"{in_tags}.tif")
    dicom(folder / f"{mark('NAME')}.dcm")
    dicom(folder / mark("NOSUFFIX"), broken=True)
    (folder / f"{mark('TRUNCATED')}.jpg").write_bytes((inner / f"{in_exif}.jpg").read_bytes()[:700])
    (folder / f"{mark('TEXT')}.png").write_text(f"patient {mark('CONTENT')}")
    (folder / f"{mark('LINK')}.png").symlink_to(root / f"{mark('TARGET')}.png")
    put(folder, **{f"{mark('BOXED')}_png": panoramic()})
    _labels(folder, in_tags, planted[-1])
    return folder


def _jpeg(path: Path) -> None:
    exif = Image.Exif()
    for tag in (0x010E, 0x013B, 0x8298, 0x0131):  # description, artist, copyright, software
        exif[tag] = mark("EXIF")
    inside = exif.get_ifd(0x8769)
    inside[0x9286] = mark("COMMENT").encode()
    inside[0x9003] = mark("DATE")
    Image.fromarray(scan()).save(path, exif=exif, comment=mark("JPEGCOMMENT").encode())


def _png(path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Patient", mark("PNGTEXT"))
    text.add_text("Comment", mark("PNGZTXT"), zip=True)
    text.add_itxt("Author", mark("PNGITXT"))
    Image.fromarray(scan()).save(path, pnginfo=text)


def _tiff(path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in (270, 315, 316, 33432):  # description, artist, host, copyright
        tags[tag] = mark("TIFFTAG")
    Image.fromarray(scan()).save(path, tiffinfo=tags)


def dicom(path: Path, broken: bool = False) -> None:
    """A DICOM file with marks in elements of every kind; a broken one ends inside its pixels."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.SourceApplicationEntityTitle = mark("AE")
    uid = pydicom.uid.generate_uid(entropy_srcs=[mark("UIDSOURCE")])
    planted.append(str(uid))  # UIDs are digits, so the mark itself cannot stand in one
    dataset.SOPClassUID = pydicom.uid.DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = dataset.StudyInstanceUID = uid
    dataset.PatientName = f"{mark('FAMILY')}^{mark('GIVEN')}"
    dataset.PatientID, dataset.InstitutionName = mark("ID"), mark("INSTITUTION")
    dataset.PatientBirthDate = "19" + "470213"
    dataset.StudyDescription, dataset.PatientComments = mark("STUDY"), mark("COMMENTS")
    dataset.ReferringPhysicianName, dataset.AccessionNumber = mark("DOCTOR"), mark("ACC")
    nested, deeper = Dataset(), Dataset()
    nested.PatientName, deeper.PatientID = mark("NESTED"), mark("DEEPER")
    nested.OtherPatientIDsSequence = Sequence([deeper])
    dataset.OtherPatientIDsSequence = Sequence([nested])
    block = dataset.private_block(0x0011, mark("CREATOR"), create=True)
    block.add_new(1, "LO", mark("PRIVATE"))
    block.add_new(2, "UN", mark("UNKNOWN").encode())
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
        f"file,patient,label,x,y,w,h,{mark('COLUMN')}",
        f"{whole}.tif,{mark('PATIENT')},healthy,,,,,{mark('EXTRA')}",
        f"{boxed}.png,{mark('PATIENT')},caries,40,20,10,10,",
        f"{boxed}.png,,{mark('class')}!?,70,20,10,10,",
        f"{boxed}.png,,healthy,{mark('NUMBER')},20,10,10,",
        f"{mark('MISSING')}.png,{mark('PATIENT')},healthy,,,,,",
    ]
    (folder / f"{mark('TABLE')}.csv").write_text("\n".join(lines))
    (folder / "classes.txt").write_text("healthy\ncaries\n")
    (folder / f"{boxed}.txt").write_text(f"9 0.5 0.5 0.1 0.1\n{mark('YOLO')} 1 2\n")
    _coco(folder, boxed)
    (folder / "data.yaml").write_text(
        f"path: /{mark('YAMLPATH')}\ntrain: {mark('YAMLTRAIN')}\nnames: [healthy, caries]\n"
    )
    (folder / f"{mark('BINARY')}.csv").write_bytes(b"file,label\n\xff\xfe" + MARK.encode())


def _coco(folder: Path, boxed: str) -> None:
    """Boxes of one picture that is there and one that is not, a class nobody lists, and a stump."""
    content = {
        "info": {"contributor": mark("CONTRIBUTOR"), "description": mark("ABOUT")},
        "images": [
            {"id": 1, "file_name": f"{boxed}.png", "width": 120, "height": 60},
            {"id": 2, "file_name": f"{mark('COCOMISSING')}.png", "patient": mark("COCOPATIENT")},
        ],
        "categories": [{"id": 1, "name": "caries", "supercategory": mark("SUPER")}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 10, 10]},
            {"id": 2, "image_id": 1, "category_id": mark("CATEGORY"), "bbox": [30, 20, 10, 10]},
            {"id": 3, "image_id": 2, "category_id": 1, "bbox": [1, 1, 5, 5]},
            {"id": mark("ANNOTATION"), "image_id": 1, "category_id": 1, "bbox": [mark("BOX")]},
        ],
    }
    (folder / f"{mark('COCO')}.json").write_text(json.dumps(content))
    (folder / f"{mark('STUMP')}.json").write_text('{"images": [' + json.dumps(mark("INSTUMP")))


def patterns() -> re.Pattern:
    """The marks in the forms in which they might travel: plain, UTF-16, base64 at any offset."""
    forms = {MARK.encode(), MARK.encode("utf-16-le"), MARK.encode("utf-16-be")}
    forms |= {MARK.lower().encode()}
    for offset in range(3):
        encoded = base64.b64encode(b"x" * offset + MARK.encode())
        # Only the characters that the mark alone decides.
        forms.add(encoded[2 * (offset > 0) + (offset == 2) : 4 * ((offset + len(MARK)) // 3)])
    uids = {each.encode() for each in planted if not each.startswith(MARK)}
    birth_date = {b"19" + b"470213"}
    return re.compile(b"|".join(re.escape(form) for form in sorted(forms | uids | birth_date)))


def found_in(root):
    """Files below a folder in which a mark stands: raw, and in every value of Parquet files."""
    marks, found = patterns(), []
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
        if any(marks.search(text) for text in texts):
            found.append(path)
    return found
