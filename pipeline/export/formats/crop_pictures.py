"""Crops as PNG files, in a folder for every side and class.

    SIDE/CLASS/SCAN_ID-REGION.png    crops with a label in force
    unlabelled/SCAN_ID-REGION.png    the others

`torchvision.datasets.ImageFolder` and `keras.utils.image_dataset_from_directory` take a side.
"""

from PIL import Image

from pipeline.export.embeddings import iter_pixels
from pipeline.export.job import Export


def write(export: Export) -> dict[str, int]:
    """Write the crops that are still stored; return how many are and how many are not."""
    count = 0
    for row, pixels in iter_pixels(export):
        label = row["label"]
        folder = export.out / (f"{row['side']}/{label}" if label is not None else "unlabelled")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{row['crop_id'].replace(':', '-')}.png")
        count += 1
    missing = len(export.rows.crops) - count
    return {"crops": count} | ({"crops that were deleted": missing} if missing else {})
