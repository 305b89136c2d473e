"""Read all label files of a batch, and its folders if they are classes."""

from pipeline.ingest.batch_folder import BatchFolder, S3Folder
from pipeline.ingest.labels.annotations import MAX_LABEL_BYTES, Annotations
from pipeline.ingest.labels.class_names import LabelSettings
from pipeline.ingest.labels.folders import read_folders
from pipeline.ingest.labels.read_documents import read_documents
from pipeline.ingest.labels.tables import read_tables
from pipeline.ingest.labels.yolo.read_yolo import read_yolo
from pipeline.ingest.list_files import FileList


def read_annotations(
    folder: BatchFolder, listing: FileList, settings: LabelSettings | None = None
) -> Annotations:
    """All annotations of the listed scans."""
    annotations = Annotations(listing, settings)
    if isinstance(folder, S3Folder):
        folder.fetch([entry.path for entry in listing.labels if entry.size <= MAX_LABEL_BYTES])
    annotations.declared = read_yolo(folder, listing, annotations)
    read_documents(folder, listing, annotations)
    read_tables(folder, listing, annotations)
    read_folders(listing, annotations)
    if annotations.settings.empty_label is not None:
        _label_empty(annotations.settings.empty_label, annotations)
    return annotations


def _label_empty(label: str, annotations: Annotations) -> None:
    """Label scans with an empty YOLO file that no other label file annotates."""
    for path, name in annotations.empty:
        about = annotations.of(path)
        found = {about.label, *(box.label for box in about.boxes)} - {None, label}
        if found:
            what = f"is empty, which means `{label}`, but the scan is labelled "
            what += f"{', '.join(f'`{each}`' for each in sorted(found))}, which counts"
            annotations.problem("two_classes", name, what, path)
        elif not about.boxes:
            about.label = label
