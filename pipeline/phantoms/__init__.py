"""Phantoms: synthetic radiographs with known ground truth, for demonstrations and tests.

A patient's seed generates a mouth (mouth.py), whose teeth become polygons (outlines.py). They are
painted as densities on a canvas in millimetres (canvas.py, jaws.py, teeth.py), exposed like a film
(film.py), and written as the files of a delivery (files.py, batch.py). No phantom shows a patient.
"""

from pipeline.phantoms.batch import BatchSummary, write_batch
from pipeline.phantoms.panoramic import draw_panoramic
from pipeline.phantoms.periapical import draw_periapical
from pipeline.phantoms.phantom import CLASSES, Phantom, Planted, ToothBox

__all__ = [
    "CLASSES",
    "BatchSummary",
    "Phantom",
    "Planted",
    "ToothBox",
    "draw_panoramic",
    "draw_periapical",
    "write_batch",
]
