"""Every layout that is tried, with the settings that it is tried with.

A layout is a function that fills a folder; its docstring is its name in the table of docs/scans.md.
"""

from collections.abc import Callable
from typing import NamedTuple

from tests.builders import label_forms
from tests.layouts.folder import LFS, Folder

XLSX = b"PK\x03\x04 a spreadsheet"


class Layout(NamedTuple):
    """One way to deliver scans."""

    build: Callable[[Folder], None]
    settings: dict

    @property
    def name(self) -> str:
        return self.build.__name__

    @property
    def title(self) -> str:
        return self.build.__doc__.strip().rstrip(".")


LAYOUTS: list[Layout] = []


def layout(**settings):
    """Register a layout, to be tried with these settings."""

    def register(build):
        LAYOUTS.append(Layout(build, settings))
        return build

    return register


@layout()
def loose_files(folder):
    """Scans alone, in one folder."""
    folder.periapical("1.png", "2.jpg", "3.tif", "4.bmp", "5.webp")


@layout()
def yolo_beside(folder):
    """YOLO files beside the scans."""
    folder.panoramic("a.png", "b.png")
    folder.yolo("a.txt", "b.txt")
    folder.text("classes.txt", "caries")


@layout()
def yolo_split_above(folder):
    """YOLO, `train/images` and `train/labels`, equal names in `valid`."""
    for side in ("train", "valid"):
        folder.panoramic(f"{side}/images/1.png", f"{side}/images/2.png")
        folder.yolo(f"{side}/labels/1.txt", f"{side}/labels/2.txt")
    folder.text("data.yaml", "names: [caries]")


@layout()
def yolo_split_below(folder):
    """YOLO, `images/train` and `labels/train`, equal names in `val`."""
    for side in ("train", "val"):
        folder.panoramic(f"images/{side}/1.png", f"images/{side}/2.png")
        folder.yolo(f"labels/{side}/1.txt", f"labels/{side}/2.txt")
    folder.text("data.yaml", "names: {0: caries}")


@layout()
def yolo_outlines(folder):
    """YOLO with polygons, oriented boxes, poses and confidences."""
    folder.panoramic("images/1.png", "images/2.png")
    outline = "0 0.4 0.4 0.6 0.4 0.6 0.6 0.4 0.6"
    folder.yolo("labels/1.txt", lines=f"{outline}\n{outline} 0.3 0.5 0.9\n")
    folder.yolo("labels/2.txt", lines="0.0 0.5 0.5 0.1 0.2 0.87\n0 0.3 0.5 0.1 0.2 0.3 0.5 2\n")
    folder.text("data.yaml", "names: [caries]")


@layout()
def yolo_of_cvat(folder):
    """YOLO of CVAT, with `obj.names` and lists of images."""
    folder.panoramic("obj_train_data/1.png")
    folder.yolo("obj_train_data/1.txt")
    folder.text("obj.names", "caries")
    folder.text("obj.data", "classes = 1\nnames = data/obj.names\n")
    folder.text("train.txt", "data/obj_train_data/1.png\n")


@layout()
def dota(folder):
    """DOTA, `images` and `labelTxt`."""
    folder.panoramic("images/1.png")
    corners = "20 20 60 20 60 60 20 60"
    folder.text("labelTxt/1.txt", f"imagesource:x\ngsd:0.1\n{corners} caries 0\n")


@layout()
def teeth_as_classes(folder):
    """YOLO whose classes are FDI numbers."""
    folder.panoramic("1.png")
    folder.yolo("1.txt", lines="0 0.5 0.5 0.1 0.2\n1 0.3 0.5 0.1 0.2\n")
    folder.text("classes.txt", "11\n36")


@layout()
def universal_teeth(folder):
    """YOLO whose classes are universal numbers."""
    folder.panoramic("1.png")
    folder.yolo("1.txt")
    folder.text("data.yaml", f"names: {list(range(1, 33))}")


@layout(numbering="universal")
def universal_teeth_converted(folder):
    """YOLO whose classes are universal numbers, with `numbering`."""
    universal_teeth(folder)


@layout(class_names={"çürük": "caries", "龋齿": "caries"})
def class_names_of_languages(folder):
    """Class names in Turkish and Chinese, with `class_names`."""
    folder.periapical("1.png", "2.png")
    folder.text("labels.csv", "file,label\n1.png,1-Çürük-26\n2.png,龋齿\n")


@layout()
def roboflow_copies(folder):
    """Roboflow, several copies of one scan."""
    names = [f"{stem}_jpg.rf.{'0123456789abcdef' * 2}"[:-1] + end for stem in "ab" for end in "12"]
    for side, name in zip(("train", "train", "valid", "valid"), names, strict=True):
        folder.panoramic(f"{side}/images/{name}.jpg")
        folder.yolo(f"{side}/labels/{name}.txt")
    folder.text("data.yaml", "names: [caries]")


@layout()
def dentex_whole(folder):
    """DENTEX as it unpacks: three folders with equal names, each JSON above its `xrays`."""
    parts = {"quadrant": [1], "quadrant_enumeration": [1, 2], "quadrant-enumeration-disease": None}
    for part, keys in parts.items():
        home, names = f"training_data/{part}", ["train_0.png", "train_1.png"]
        folder.panoramic(*(f"{home}/xrays/{name}" for name in names))
        folder.dentex(f"{home}/train_{part}.json", names, keys or [1, 2, 3])


@layout()
def coco_beside(folder):
    """COCO in each split, equal names in `train` and `test`."""
    for side in ("train", "test"):
        folder.panoramic(f"{side}/1.png", f"{side}/2.png")
        folder.coco(f"{side}/_annotations.coco.json", ["1.png", "2.png"])


@layout()
def coco_annotations_folder(folder):
    """COCO in `annotations`, scans in `images`, names with the path of another machine."""
    folder.panoramic("images/1.png", "images/2.png")
    folder.coco("annotations/all.json", ["C:\\scans\\images\\1.png", "/data/upload/7/2.png"])


@layout()
def table_two_folders_up(folder):
    """CSV table two folders above the scans."""
    folder.periapical("set/scans/1.png", "set/scans/2.png")
    folder.text("labels.csv", "file,label,patient", "1.png,caries,p1", "2.png,healthy,p2")


@layout()
def table_of_spreadsheet(folder):
    """CSV table as a spreadsheet writes it: `;`, IDs such as `1001.0`."""
    folder.periapical("1.png", "2.png", "3.png")
    rows = ("1.png;Deep Caries;1001.0", "2.PNG;Healthy; 1001 ", "./3.png;healthy;1002")
    folder.text("labels.csv", "File;Label;Patient", *rows)


@layout()
def table_of_other_scans(folder):
    """CSV table most of whose lines are about other scans."""
    folder.periapical("1.png")
    folder.text("labels.csv", "file,label", *(f"{number}.png,caries" for number in range(1, 6)))


@layout()
def table_not_read(folder):
    """Table that cannot be read: Excel."""
    folder.periapical("1.png", "2.png")
    folder.bytes("patients.xlsx", XLSX)


@layout()
def table_half_written(folder):
    """Table that cannot be read: not UTF-8."""
    folder.periapical("1.png")
    folder.bytes("patients.csv", "file,patient\n1.png,Müller\n".encode("latin-1"))


@layout()
def whole_panoramics(folder):
    """CSV table with findings of whole panoramics."""
    folder.panoramic("1.png", "2.png")
    folder.text("labels.csv", "file,label", "1.png,caries", "2.png,healthy")


@layout()
def class_folders(folder):
    """Class folders."""
    folder.periapical("caries/1.png", "caries/2.png", "healthy/1.png")


@layout(class_folders=("caries", "healthy"))
def class_folders_set(folder):
    """Class folders, with `class_folders`."""
    class_folders(folder)


@layout()
def empty_yolo(folder):
    """Empty YOLO files."""
    folder.panoramic("1.png", "2.png")
    folder.yolo("1.txt")
    folder.yolo("2.txt", lines="")
    folder.text("classes.txt", "caries")


@layout(empty_is_normal=True)
def empty_yolo_normal(folder):
    """Empty YOLO files, with `empty_is_normal`."""
    empty_yolo(folder)


@layout()
def masks(folder):
    """Masks beside the scans, and in a folder of their own."""
    folder.panoramic("images/1.png", "images/2.png")
    folder.mask("masks/1.png")
    folder.mask("images/2_mask.png")
    folder.text("labels.csv", "file,patient", "1.png,p1", "2.png,p2")


@layout()
def storage_appliance(folder):
    """Thumbnails and bins of storage appliances and systems."""
    folder.periapical("1.png", "@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", "#recycle/2.png")
    folder.periapical("$RECYCLE.BIN/3.png", "__MACOSX/4.png", ".Trash-1000/files/5.png")
    folder.text("._1.png", "x")
    folder.text("Thumbs.db", "x")
    folder.text("1.png:Zone.Identifier", "x")
    folder.text("2.png.crdownload", "x")


@layout()
def archives(folder):
    """Archives."""
    folder.periapical("1.png")
    folder.zip("more.zip")
    folder.bytes("old.rar", b"Rar!\x1a\x07\x01\x00")
    folder.bytes("rest.7z", b"7z\xbc\xaf\x27\x1c\x00")


@layout()
def formats_not_read(folder):
    """Formats that are not read."""
    folder.periapical("1.png")
    folder.bytes("2.heic", b"\0\0\0\x18ftypheic\0\0\0\0")
    folder.bytes("3.gif", b"GIF89a\1\0\1\0")
    folder.bytes("4.jp2", b"\0\0\0\x0cjP  \r\n\x87\n")
    folder.bytes("5.pdf", b"%PDF-1.7\n")
    folder.text("6.png", LFS)


@layout()
def coco_masks(folder):
    """COCO with polygons and masks, as Datumaro exports them."""
    folder.example(label_forms.COCO)


@layout()
def pascal_voc(folder):
    """Pascal VOC, named after other files, with Windows paths."""
    folder.example(label_forms.VOC)


@layout()
def cvat(folder):
    """CVAT for images, scans in sub-folders."""
    folder.example(label_forms.CVAT)


@layout()
def labelme(folder):
    """LabelMe on Windows, labels such as `1-çürük-26`."""
    folder.example(label_forms.LABELME)


@layout(class_names={"çürük": "caries", "kanal": "root_canal"})
def labelme_mapped(folder):
    """LabelMe on Windows, with `class_names`."""
    labelme(folder)


@layout()
def label_studio(folder):
    """Label Studio, names of uploads, a turned box."""
    folder.example(label_forms.LABEL_STUDIO)


@layout()
def via(folder):
    """VGG Image Annotator, a project."""
    folder.example(label_forms.VIA)


@layout()
def supervisely(folder):
    """Supervisely, with `meta.json`."""
    folder.example(label_forms.SUPERVISELY)


@layout()
def labels_not_read(folder):
    """Label files of unknown forms."""
    folder.panoramic("1.png")
    folder.text("1.xml", "<gpx/>")
    folder.text("2.json", '{"name": "x"}')
    folder.bytes("3.npz", b"PK")


@layout()
def export_of_a_viewer(folder):
    """DICOM export with its viewer and documents."""
    folder.dicom("DICOM/IM000001", PatientID="1001", StudyInstanceUID="1.2.1")
    folder.dicom("DICOM/IM000002", PatientID="1002", StudyInstanceUID="1.2.2")
    folder.bytes("DICOMDIR", bytes(128) + b"DICM")
    folder.bytes("Viewer.exe", b"MZ")
    folder.text("index.html", "<html></html>")
    folder.text("README.txt", "Read me")
    folder.text("LICENSE", "Free")


@layout()
def dicom_placeholders(folder):
    """DICOM with placeholders as PatientID."""
    folder.dicom("1.dcm", PatientID="ANONYMOUS", StudyInstanceUID="1.2.1")
    folder.dicom("2.dcm", PatientID="ANONYMOUS", StudyInstanceUID="1.2.1")
    folder.dicom("3.dcm", PatientID="", StudyInstanceUID="1.2.3")


@layout()
def dicom_with_exports(folder):
    """DICOM, each with its JPEG."""
    for number in "12":
        folder.dicom(f"{number}.dcm", PatientID=f"P{number}")
        folder.periapical(f"{number}.jpg")


@layout()
def dicom_shared_id(folder):
    """DICOM with one PatientID for people of two names."""
    folder.dicom("1.dcm", PatientID="7", PatientName="Adam")
    folder.dicom("2.dcm", PatientID="7", PatientName="Eve")


@layout()
def patient_folders(folder):
    """One folder a patient."""
    folder.periapical("P001/1.png", "P001/2.png", "P002/1.png")


@layout(patient_folders=1)
def patient_folders_set(folder):
    """One folder a patient, with `patient_folders`."""
    patient_folders(folder)


@layout(patient_names="^([0-9]+)_")
def patient_names_set(folder):
    """Patients in file names, with `patient_names`."""
    folder.periapical("1001_1.png", "1001_2.png", "1002_1.png")


@layout()
def augmented_copies(folder):
    """Copies that tools made, such as `_aug_3` and `-flipped`."""
    folder.periapical("1.png", "1_aug_1.png", "1_aug_2.png", "2.png", "2-flipped.png")


@layout()
def overshooting_boxes(folder):
    """Boxes that extend beyond the scan."""
    folder.panoramic("1.png")
    folder.yolo("1.txt", lines="0 0.98 0.5 0.1 0.2\n0 1.2 0.5 0.1 0.2\n")
    folder.text("classes.txt", "caries")


@layout()
def icons(folder):
    """Icons of programs and web pages."""
    import numpy as np

    folder.periapical("1.png")
    folder.pixels("logo.png", np.full((32, 32, 3), (200, 30, 30), np.uint8))
