"""`dental export`: labels and predictions in the formats of other tools."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.app import LOOK, StoreOption, commands, expanded, settings_of

if TYPE_CHECKING:
    from pipeline.export.write_export import Exported, Request

FORMATS = "coco, yolo, voc, labelstudio, cvat, fiftyone, npz, hf, png, csv, xlsx or dicom-sr"
NEXT = {  # what a person does with an export, by format; OUT is its folder
    "coco": "pycocotools.coco.COCO('OUT/annotations.json')",
    "yolo": "yolo detect train data=OUT/data.yaml",
    "labelstudio": "in a project with the interface of OUT/config.xml, import OUT/tasks.json",
    "cvat": "upload OUT/annotations.xml to a task as `CVAT 1.1`",
    "fiftyone": "fiftyone.Dataset.from_dir('OUT', dataset_type=fiftyone.types.FiftyOneDataset)",
    "npz": "numpy.load('OUT/features.npz')",
    "hf": "datasets.load_dataset('OUT')",
}


@commands.command("export", rich_help_panel=LOOK)
def export(
    target: Annotated[
        tuple[str, str],
        typer.Argument(metavar="FORMAT OUT", help=f"FORMAT is {FORMATS}; OUT is a new folder."),
    ],
    batch: Annotated[
        list[str] | None, typer.Option("--batch", help="Only this batch; may be repeated.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="Only crops with this label in force; may be repeated."),
    ] = None,
    side: Annotated[
        list[str] | None,
        typer.Option("--side", help="Only train, validation or test; may be repeated."),
    ] = None,
    images: Annotated[
        bool, typer.Option("--images", help="With whole pictures, from the delivered files.")
    ] = False,
    names: Annotated[
        bool, typer.Option("--names", help="With the names of delivered files.")
    ] = False,
    store: StoreOption = None,
) -> None:
    """Write labels in force, predictions and sides to a folder, in the format of another tool.

    Ids are pseudonymous and pictures are named by scan_id. The folder is health data, readable by
    you alone; the private folder lists it, and `dental forget` names it when it has the patient.
    """
    from pipeline.export.write_export import Request, write_export
    from pipeline.store.crop_query import CropFilter

    settings = settings_of(store)
    kept = CropFilter(batch or None, label or None, side or None)
    form, out = target
    request = Request(form, Path(expanded(out)), kept, names, images)
    _print(write_export(settings, request), request)


def _print(done: "Exported", request: "Request") -> None:
    written = ", ".join(f"{count} {name}" for name, count in done.counts.items())
    print(f"{done.crops} crops of {done.scans} scans: {written}")
    if done.head is None:
        print("There is no champion yet, so the export has no predictions.")
    if done.later_frames:
        print(
            f"{done.later_frames} crops of later frames were left out: this format shows the first "
            "frame of a scan."
        )
    _print_pictures(done)
    if request.names:
        print("It has names of delivered files, which name people: keep it as you keep the scans.")
    if not done.listed:
        print(
            "The private folder is not here, so this export is not listed there, and `dental "
            "forget` cannot name it."
        )
    print(f"{done.out} (health data, readable by you alone; for research, not for diagnosis)")
    if request.form in NEXT:
        print(f"Next: {NEXT[request.form].replace('OUT', str(done.out))}")


def _print_pictures(done: "Exported") -> None:
    if done.pictures is None:
        return
    print(
        f"{done.pictures.written} pictures without metadata; names burned into the pixels are "
        "still in them."
    )
    if missing := done.pictures.missing:
        print(
            f"{len(missing)} pictures are missing, since their files are not where they were "
            f"delivered or cannot be read. About the first: dental why {missing[0]}"
        )
