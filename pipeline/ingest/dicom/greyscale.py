"""Stored DICOM values to grey: uint8, 0 black and 255 white, brighter meaning denser.

In the order of the standard (PS3.3 C.11.1 and C.11.2): modality LUT or rescale, then VOI LUT or
window, then MONOCHROME1 inverted. Without a VOI, by what the sensor could record, never by what
this scan happens to hold. Colours become luminance (ITU-R BT.601).
"""

import numpy as np
import pydicom
from pydicom.pixels.processing import apply_color_lut

from pipeline.errors import ScanRejected
from pipeline.ingest.dicom.file import PER_FRAME, said

FLOATS = ("FloatPixelData", "DoubleFloatPixelData")
GREY = ("MONOCHROME1", "MONOCHROME2")
LUMINANCE = np.float32([0.299, 0.587, 0.114])
BLOCK = 1 << 22  # pixels worked on at once in floating point, to keep memory flat


class Tones:
    """How one object's stored values are shown, or one frame's that has its own window."""

    def __init__(self, dataset: pydicom.FileDataset, frame: int | None = None):
        self.dataset, self.frame = dataset, frame
        self.bits = int(dataset.get("BitsStored") or dataset.BitsAllocated)
        self.signed = int(dataset.get("PixelRepresentation") or 0) == 1
        self.palette = dataset.PhotometricInterpretation == "PALETTE COLOR"
        self._table: np.ndarray | None = None

    def of_frame(self, number: int) -> "Tones":
        """The same, or a frame's own where frames have windows or slopes of their own."""
        return Tones(self.dataset, number) if self.dataset.get(PER_FRAME) else self

    def _said(self, name: str):
        return said(self.dataset, name, self.frame)

    def grey(self, frame: np.ndarray, colours: str) -> np.ndarray:
        """One frame, (rows, columns) or (rows, columns, 3), in the given colour space, as uint8."""
        if colours in GREY or self.palette:
            if frame.ndim != 2:
                raise ScanRejected(
                    "unsupported_pixels",
                    f"a grey or palette DICOM object whose pixels have {frame.shape[2]} samples, "
                    "not one; export it again",
                )
            return self._by_table(frame)
        if frame.ndim != 3 or frame.shape[2] != 3:
            raise ScanRejected(
                "unsupported_pixels", "a colour DICOM object whose pixels have not three samples"
            )
        if colours == "RGB":
            return self._in_blocks(frame, lambda rgb: self._scaled(rgb @ LUMINANCE, 0, self._top()))
        if colours in ("YBR_FULL", "YBR_FULL_422"):
            return self._in_blocks(frame[..., 0], lambda y: self._scaled(y, 0, self._top()))
        raise ScanRejected(
            "unsupported_pixels",
            "a DICOM object in another colour space than grey, RGB, palette or YBR_FULL; "
            "export it in grey",
        )

    def _top(self) -> int:
        return 2**self.bits - 1

    def _by_table(self, frame: np.ndarray) -> np.ndarray:
        """Up to 16 bits, every value there is is worked out once and then looked up."""
        work = self._palette if self.palette else self._shades
        if frame.dtype.kind == "f" or frame.dtype.itemsize > 2:
            return self._in_blocks(frame, work)
        unsigned = np.dtype(f"u{frame.dtype.itemsize}")
        frame = frame.astype(frame.dtype.newbyteorder("="), copy=False)
        if self._table is None:
            values = np.arange(256**unsigned.itemsize, dtype=unsigned)
            self._table = work(values.view(frame.dtype))
        return self._table[frame.view(unsigned)]

    def _in_blocks(self, frame: np.ndarray, work) -> np.ndarray:
        rows = max(1, BLOCK // max(1, frame.shape[1]))
        blocks = [work(frame[at : at + rows]) for at in range(0, len(frame), rows)]
        return np.concatenate(blocks)

    @staticmethod
    def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
        grey = (np.asarray(values, np.float64) - low) * (255 / (high - low))
        return np.rint(np.clip(np.nan_to_num(grey), 0, 255)).astype(np.uint8)

    def _shades(self, stored: np.ndarray) -> np.ndarray:
        """Grey of stored values of any shape."""
        values, low, high = self._rescaled(stored)
        table = self._said("VOILUTSequence")
        if table:
            values, high = looked_up(values, table[0], self._little())
            grey = self._scaled(values, 0, high)
        elif (share := self._windowed(values)) is not None:
            grey = self._scaled(share, 0, 1)
        else:
            grey = self._scaled(values, low, high)
        inverted = self.dataset.PhotometricInterpretation == "MONOCHROME1"
        return 255 - grey if inverted else grey

    def _rescaled(self, stored: np.ndarray) -> tuple[np.ndarray, float, float]:
        """Values after the modality LUT or rescale, and the least and greatest there can be."""
        if table := self._said("ModalityLUTSequence"):
            values, high = looked_up(stored, table[0], self._little())
            return values, 0, high
        slope = float(self._said("RescaleSlope") or 1)
        intercept = float(self._said("RescaleIntercept") or 0)
        values = stored.astype(np.float64) * slope + intercept
        low, high = self._range(stored)
        ends = sorted((low * slope + intercept, high * slope + intercept))
        return values, ends[0], ends[1]

    def _range(self, stored: np.ndarray) -> tuple[float, float]:
        if stored.dtype.kind == "f":
            return self._range_of_floats()
        if self.signed:
            return -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1
        return 0, self._top()

    def _range_of_floats(self) -> tuple[float, float]:
        """No sensor's depth bounds these, so the least and the greatest of all frames do."""
        [element] = [self.dataset[name] for name in FLOATS if name in self.dataset]
        order, size = "<" if self._little() else ">", self.dataset.BitsAllocated // 8
        values = np.frombuffer(element.value, f"{order}f{size}")
        values = values[np.isfinite(values)]
        if not values.size or values.min() == values.max():
            return 0.0, 1.0
        return float(values.min()), float(values.max())

    def _windowed(self, values: np.ndarray) -> np.ndarray | None:
        """Share of white by the first window; None when there is none that means something."""
        centre, width = (_first(self._said(f"Window{name}")) for name in ("Center", "Width"))
        function = str(self._said("VOILUTFunction") or "LINEAR").upper()
        if centre is None or width is None or width < (1 if function == "LINEAR" else 1e-9):
            return None
        if function == "SIGMOID":
            return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -60, 60)))
        if function == "LINEAR":
            centre, width = centre - 0.5, max(width - 1, 1e-9)
        return np.clip((values - centre) / width + 0.5, 0, 1)

    def _little(self) -> bool:
        return bool(self.dataset.file_meta.TransferSyntaxUID.is_little_endian)

    def _palette(self, stored: np.ndarray) -> np.ndarray:
        """Luminance of palette entries; numbers outside the palette are its first or last."""
        entries, first, depth = (
            int(value) for value in self.dataset.RedPaletteColorLookupTableDescriptor
        )
        entries = entries or 65_536
        channels = []
        for name in ("Red", "Green", "Blue"):
            data = self.dataset.get(f"{name}PaletteColorLookupTableData")
            if data is None:  # segmented
                rgb = apply_color_lut(np.arange(first, first + entries), self.dataset)
                channels = [rgb[..., channel] for channel in range(3)]
                break
            channels.append(_entries(data, entries, self._little()))
        rgb = np.stack(channels, axis=-1)
        # Some write 16-bit entries and declare 8, or the other way round.
        top = 2**depth - 1 if rgb.max(initial=0) < 2**depth else np.iinfo(rgb.dtype).max
        luminance = self._scaled(rgb @ LUMINANCE, 0, top)
        return luminance[np.clip(stored.astype(np.int64) - first, 0, len(luminance) - 1)]


def looked_up(values: np.ndarray, item: pydicom.Dataset, little: bool) -> tuple[np.ndarray, int]:
    """Values through a modality or VOI LUT, and the greatest value of its entries."""
    entries, first, depth = (int(value) for value in item.LUTDescriptor)
    data = item["LUTData"].value
    table = _entries(data, entries or 65_536, little)
    top = 2**depth - 1 if table.max() < 2**depth else int(np.iinfo(table.dtype).max)
    places = np.clip(np.rint(values).astype(np.int64) - first, 0, len(table) - 1)
    return table[places], top


def _entries(data, entries: int, little: bool) -> np.ndarray:
    """Entries of a lookup table, 8 or 16 bits each, from bytes or from numbers."""
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data, dtype=np.uint16))
    if len(data) < 2 * entries:
        return np.frombuffer(data, np.uint8)[:entries]
    return np.frombuffer(data, "<u2" if little else ">u2")[:entries].astype(np.uint16)


def _first(value) -> float | None:
    """The first of several windows."""
    if isinstance(value, (str, bytes)) or value is None:
        return float(value) if value else None
    try:
        return float(value)
    except TypeError:
        return float(value[0]) if len(value) else None
