"""Arithmetic of a convolutional trunk: output sizes, parameters, cost, receptive field.

With n pixels in, a window of k pixels and a stride of s, one side of the output is

    valid    floor((n - k) / s) + 1      the window stays inside
    same     ceil(n / s)                 zeros around the picture keep the size at s = 1

and a convolution of c channels into f filters has f·(k·k·c + 1) parameters (one bias per filter)
and takes n'·n'·f·k·k·c multiply-adds for an output of n' × n' pixels. A pooling has no parameters;
its stride is its window and it pads nothing. A layer widens the receptive field by (k - 1) times
the product of the strides before it. Source: Dumoulin & Visin, "A guide to convolution arithmetic
for deep learning", arXiv:1603.07285; a test compares every number with Keras.

Shapes are (row, column, channel) without the batch. Nothing here imports Keras.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline import config
from pipeline.errors import ConfigError

# What a crop costs, as cards have it, with the unit and the factor in which it is printed.
COSTS = (
    ("multiply_adds", "million multiply-adds", 1e6),
    ("milliseconds", "ms", 1),
    ("bytes", "kB stored", 1e3),
)
DEFAULTS = ("same", "relu")  # left out of a line that describes a network


@dataclass(frozen=True)
class LayerFacts:
    """One row of the table that describes a trunk."""

    name: str  # conv1, pool1, …, flatten; total in the last row of a printed table
    output: tuple[int, ...]  # (row, column, channel), or (width,) once flattened
    parameters: int
    multiply_adds: int | None  # for one crop; None when not known, never in the notes' network
    receptive_field: int | None  # pixels of the crop's edge that one output value depends on


def describe(trunk: config.Trunk, side: int) -> list[LayerFacts]:
    """Describe every layer of `trunk` for crops of `side` × `side` pixels, in order.

    Raises ConfigError when the output of a layer would be empty.
    """
    size, channels, field, jump = side, trunk.channels, 1, 1
    rows = []
    for number, layer in enumerate(trunk.layers, start=1):
        size = output_size(f"conv{number}", size, layer.kernel, layer.stride, layer.padding)
        field, jump = field + (layer.kernel - 1) * jump, jump * layer.stride
        weights = layer.kernel**2 * channels * layer.filters
        channels = layer.filters
        shape = (size, size, channels)
        rows.append(
            LayerFacts(f"conv{number}", shape, weights + channels, size**2 * weights, field)
        )
        if layer.pool != "none":
            size = output_size(f"pool{number}", size, layer.pool_size, layer.pool_size, "valid")
            field, jump = field + (layer.pool_size - 1) * jump, jump * layer.pool_size
            rows.append(LayerFacts(f"pool{number}", (size, size, channels), 0, 0, field))
    return [*rows, LayerFacts("flatten", (size * size * channels,), 0, 0, field)]


def total(rows: list[LayerFacts]) -> LayerFacts:
    """Sum up rows that describe a trunk, as the last row of a printed table."""
    return LayerFacts(
        "total",
        rows[-1].output,
        sum(row.parameters for row in rows),
        sum(row.multiply_adds or 0 for row in rows),
        rows[-1].receptive_field,
    )


def format_architecture(trunk: config.Trunk, side: int) -> str:
    """Format the network as the notes write it: `256×256×3 → 4@9×9 → max 2 → … → 8192`."""
    steps = [f"{side}×{side}×{trunk.channels}"]
    for layer in trunk.layers:
        unusual = [f"stride {layer.stride}"] if layer.stride > 1 else []
        unusual += [
            option for option in (layer.padding, layer.activation) if option not in DEFAULTS
        ]
        steps.append(" ".join([f"{layer.filters}@{layer.kernel}×{layer.kernel}", *unusual]))
        if layer.pool != "none":
            steps.append(f"{layer.pool} {layer.pool_size}")
    return " → ".join([*steps, str(width(trunk, side))])


def width(trunk: config.Trunk, side: int) -> int:
    """Number of values in one embedding."""
    return describe(trunk, side)[-1].output[0]


def grid(trunk: config.Trunk, side: int) -> tuple[int, int, int]:
    """Shape of one embedding before it is flattened: (row, column, channel)."""
    return describe(trunk, side)[-2].output


def format_cost(costs: Mapping[str, Mapping[str, float]]) -> str:
    """Format what a crop costs on a trunk, `this`, compared with the network of the `notes`."""
    this, notes = costs["this"], costs.get("notes")
    parts = []
    for name, unit, factor in COSTS:
        compared = f" ({notes[name] / factor:,.3g} on the notes' network)" if notes else ""
        parts.append(f"{this[name] / factor:,.3g} {unit}{compared}")
    return ", ".join(parts)


def output_size(name: str, size: int, window: int, stride: int, padding: str) -> int:
    """Edge of a layer's output for `size` pixels in; ConfigError when it is empty."""
    out = -(-size // stride) if padding == "same" else (size - window) // stride + 1
    if out < 1:
        raise ConfigError(
            f"Layer {name} gets {size}×{size} pixels and its window is {window}×{window}: nothing "
            f"is left to put out. Use a smaller window, fewer poolings or strides before it, or a "
            "larger `recipe.side`."
        )
    return out
