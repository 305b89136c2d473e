"""DICOM greyscale pipeline: stored values to uint8, 0 black and 255 white, brighter meaning denser.

In the order of the standard (PS3.3 C.11.1 and C.11.2): modality LUT or rescale, then VOI LUT or
window, then MONOCHROME1 inverted, all but its padding, which is black. Without a VOI, values are
scaled by what the sensor could record, never by what this scan happens to hold. Colours become
luminance (ITU-R BT.601).

pydicom applies rescales, windows and segmented palettes. Other lookup tables are applied here, for
pydicom 3.0.2 fails on modality LUTs of 9 to 15 bits or with 8-bit entries in OW, cuts values off to
8 bits before it looks them up in an 8-bit VOI LUT (4095 finds entry 255, 256 finds entry 0), and
swaps the bytes of big-endian 16-bit palettes.
"""

import math
import warnings
from functools import cached_property

import numpy as np
import pydicom
from pydicom.multival import MultiValue
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_windowing

from pipeline.errors import ScanRejected
from pipeline.ingest.dicom.file import PER_FRAME, element_value

FLOATS = ("FloatPixelData", "DoubleFloatPixelData")
GREY = ("MONOCHROME1", "MONOCHROME2")
WINDOW_FUNCTIONS = ("LINEAR", "SIGMOID", "LINEAR_EXACT")  # any other counts as the last
LUMINANCE = np.float32([0.299, 0.587, 0.114])
BLOCK = 1 << 22  # pixels converted at once in floating point, to keep memory flat


class Greyscale:
    """Converts the stored values of one object, or of one frame with its own window, to grey."""

    def __init__(self, dataset: pydicom.FileDataset, frame: int | None = None):
        self.dataset, self.frame = dataset, frame
        self.bits = int(dataset.get("BitsStored") or dataset.BitsAllocated)
        self.signed = int(dataset.get("PixelRepresentation") or 0) == 1
        self.palette = dataset.PhotometricInterpretation == "PALETTE COLOR"
        self._table: np.ndarray | None = None

    def of_frame(self, number: int) -> "Greyscale":
        """This object, or a frame's own where frames have their own windows or slopes."""
        return Greyscale(self.dataset, number) if self.dataset.get(PER_FRAME) else self

    def _value(self, name: str):
        return element_value(self.dataset, name, self.frame)

    def convert(self, frame: np.ndarray, colour_space: str) -> np.ndarray:
        """Convert one frame, (rows, columns) or (rows, columns, 3), to grey uint8."""
        if colour_space in GREY or self.palette:
            if frame.ndim != 2:
                raise ScanRejected(
                    "unsupported_pixels",
                    f"a greyscale or palette DICOM object with {frame.shape[2]} samples per pixel, "
                    "not one; export it again",
                )
            return self._by_table(frame)
        if frame.ndim != 3 or frame.shape[2] != 3:
            raise ScanRejected(
                "unsupported_pixels", "a colour DICOM object without three samples per pixel"
            )
        if colour_space == "RGB":
            return _in_blocks(frame, lambda rgb: _scaled(rgb @ LUMINANCE, 0, self._top))
        if colour_space in ("YBR_FULL", "YBR_FULL_422"):
            return _in_blocks(frame[..., 0], lambda y: _scaled(y, 0, self._top))
        raise ScanRejected(
            "unsupported_pixels",
            "a DICOM object in a colour space other than greyscale, RGB, palette or YBR_FULL; "
            "export it in greyscale",
        )

    @property
    def _top(self) -> int:
        return 2**self.bits - 1

    def _by_table(self, frame: np.ndarray) -> np.ndarray:
        """Convert up to 16 bits through a table of every possible value, more bits in blocks."""
        convert = self._palette_to_grey if self.palette else self._values_to_grey
        if frame.dtype.kind == "f" or frame.dtype.itemsize > 2:
            return _in_blocks(frame, convert)
        unsigned = np.dtype(f"u{frame.dtype.itemsize}")
        frame = frame.astype(frame.dtype.newbyteorder("="), copy=False)
        if self._table is None:
            values = np.arange(256**unsigned.itemsize, dtype=unsigned)
            self._table = convert(values.view(frame.dtype))
        return self._table[frame.view(unsigned)]

    def _values_to_grey(self, stored: np.ndarray) -> np.ndarray:
        """Grey of stored values of any shape."""
        values, low, high = self._rescaled(stored)
        if table := self._value("VOILUTSequence"):
            values, high = looked_up(values, table[0], self._little_endian)
            low = 0
        elif window := self._window():
            with np.errstate(over="ignore"):  # far below a sigmoid's centre, where grey is 0
                values, low, high = apply_windowing(values, window), 0, 255
        grey = _scaled(values, low, high)
        if self.dataset.PhotometricInterpretation != "MONOCHROME1":
            return grey
        grey = 255 - grey
        if self._padding:
            least, greatest = self._padding
            grey[(stored >= least) & (stored <= greatest)] = 0
        return grey

    @cached_property
    def _padding(self) -> tuple[float, float] | None:
        """The least and greatest stored value that stand for no image; None without padding.

        MONOCHROME1 shows it white when inverted, where it would count as dense tissue.
        """
        for kind in ("", "Float", "DoubleFloat"):
            value = self.dataset.get(f"{kind}PixelPaddingValue")
            limit = self.dataset.get(f"{kind}PixelPaddingRangeLimit")
            ends = [end for end in (value, limit) if isinstance(end, int | float)]
            if value in ends:
                stored = [self._as_stored(end) for end in ends]
                return min(stored), max(stored)
        return None

    def _as_stored(self, value: float) -> float:
        """A padding value with the sign of the pixels: some devices write 63536 for -2000."""
        if not isinstance(value, int):
            return value
        span = 2 ** int(self.dataset.BitsAllocated)
        value %= span
        return value - span if self.signed and value >= span // 2 else value

    def _rescaled(self, stored: np.ndarray) -> tuple[np.ndarray, float, float]:
        """Values after the modality LUT or rescale, and the least and greatest possible ones."""
        if table := self._value("ModalityLUTSequence"):
            values, high = looked_up(stored, table[0], self._little_endian)
            return values, 0, high
        rescale = pydicom.Dataset()
        rescale.add_new("RescaleSlope", "FD", float(self._value("RescaleSlope") or 1))
        rescale.add_new("RescaleIntercept", "FD", float(self._value("RescaleIntercept") or 0))
        low, high = sorted(apply_modality_lut(np.array(self._range(stored)), rescale))
        return apply_modality_lut(stored, rescale), low, high

    def _range(self, stored: np.ndarray) -> tuple[float, float]:
        if stored.dtype.kind == "f":
            return self._range_of_floats
        if self.signed:
            return -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1
        return 0, self._top

    @cached_property
    def _range_of_floats(self) -> tuple[float, float]:
        """Least and greatest finite value of all frames: no bit depth bounds them."""
        [element] = [self.dataset[name] for name in FLOATS if name in self.dataset]
        order, size = "<" if self._little_endian else ">", self.dataset.BitsAllocated // 8
        values = np.frombuffer(element.value, f"{order}f{size}")
        values = values[np.isfinite(values)]
        if not values.size or values.min() == values.max():
            return 0.0, 1.0
        return float(values.min()), float(values.max())

    def _window(self) -> pydicom.Dataset | None:
        """The first window, with output from 0 to 255; None without a window or a usable width."""
        try:
            centre, width = (_first(self._value(f"Window{name}")) for name in ("Center", "Width"))
        except (ValueError, TypeError, OverflowError):
            # Becomes a note of the file: without a window, the sensor's bit depth gives the scale.
            warnings.warn("its window cannot be read and is left out", stacklevel=2)
            return None
        function = str(self._value("VOILUTFunction") or "LINEAR").upper()
        if centre is None or width is None or width < (1 if function == "LINEAR" else 1e-9):
            return None
        if function == "LINEAR":  # a width of 1 shows the value in its middle as half white
            width = max(width, 1 + 1e-9)
        window = pydicom.Dataset()
        window.PhotometricInterpretation = "MONOCHROME2"
        window.BitsStored, window.PixelRepresentation = 8, 0
        window.VOILUTFunction = function if function in WINDOW_FUNCTIONS else WINDOW_FUNCTIONS[-1]
        window.add_new("WindowCenter", "FD", centre)
        window.add_new("WindowWidth", "FD", width)
        return window

    @property
    def _little_endian(self) -> bool:
        return bool(self.dataset.file_meta.TransferSyntaxUID.is_little_endian)

    def _palette_to_grey(self, stored: np.ndarray) -> np.ndarray:
        """Luminance of palette entries; indices outside the palette are its first or last."""
        entries, first, depth = (
            int(value) for value in self.dataset.RedPaletteColorLookupTableDescriptor
        )
        entries = entries or 65_536
        if "RedPaletteColorLookupTableData" in self.dataset:
            names = (f"{name}PaletteColorLookupTableData" for name in ("Red", "Green", "Blue"))
            data = [self.dataset[name].value for name in names]
            rgb = np.stack([_entries(each, entries, self._little_endian) for each in data], axis=-1)
        else:  # segmented
            rgb = apply_color_lut(np.arange(first, first + entries), self.dataset)[..., :3]
        # Some devices write 16-bit entries and declare 8, or the other way round.
        top = 2**depth - 1 if rgb.max(initial=0) < 2**depth else np.iinfo(rgb.dtype).max
        luminance = _scaled(rgb @ LUMINANCE, 0, top)
        return luminance[np.clip(stored.astype(np.int64) - first, 0, len(luminance) - 1)]


def _in_blocks(frame: np.ndarray, convert) -> np.ndarray:
    rows = max(1, BLOCK // max(1, frame.shape[1]))
    return np.concatenate([convert(frame[at : at + rows]) for at in range(0, len(frame), rows)])


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    grey = (np.asarray(values, np.float64) - low) * (255 / (high - low))
    return np.rint(np.clip(np.nan_to_num(grey), 0, 255)).astype(np.uint8)


def looked_up(
    values: np.ndarray, item: pydicom.Dataset, little_endian: bool
) -> tuple[np.ndarray, int]:
    """Values through a modality or VOI LUT, and the greatest possible value of its entries."""
    entries, first, depth = (int(value) for value in item.LUTDescriptor)
    table = _entries(item["LUTData"].value, entries or 65_536, little_endian)
    top = 2**depth - 1 if table.max() < 2**depth else int(np.iinfo(table.dtype).max)
    indices = np.clip(np.rint(values).astype(np.int64) - first, 0, len(table) - 1)
    return table[indices], top


def _entries(data, entries: int, little_endian: bool) -> np.ndarray:
    """Entries of a lookup table, 8 or 16 bits each, from bytes or from numbers."""
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data, dtype=np.uint16))
    if len(data) < 2 * entries:
        return np.frombuffer(data, np.uint8)[:entries]
    return np.frombuffer(data, "<u2" if little_endian else ">u2")[:entries].astype(np.uint16)


def _first(value) -> float | None:
    """The first of several windows; ValueError for one that is no finite number."""
    if isinstance(value, MultiValue):
        value = value[0] if value else None
    if value in (None, ""):
        return None
    if not math.isfinite(number := float(value)):
        raise ValueError(number)
    return number
