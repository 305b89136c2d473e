"""Tables as the VGG Image Annotator 2 exports them."""

import csv
import io
import json


def via_table(*regions):
    """A table as VIA 2 exports it, of images with their attributes, shapes and attributes."""
    text = io.StringIO()
    columns = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes"
    text.write(f"{columns},region_attributes\n")
    writer = csv.writer(text, lineterminator="\n")
    for name, *values in regions:
        of_file, shape, of_region = map(json.dumps, values)
        writer.writerow([name, 9, of_file, 2, 0, shape, of_region])
    return text.getvalue()


VIA = via_table(
    ("a.png", {}, {"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4}, {"label": "Caries"}),
    ("a.png", {}, {"name": "circle", "cx": 20, "cy": 30, "r": 5}, {"label": "Crown"}),
    (
        *("b.png", {}),
        {"name": "polygon", "all_points_x": [1, 5, 3], "all_points_y": [2, 2, 8]},
        {"label": "Crown", "tooth": "36"},
    ),
    ("c.png", {"diagnosis": "healthy"}, {}, {}),
    ("d.png", {}, {}, {}),
)
