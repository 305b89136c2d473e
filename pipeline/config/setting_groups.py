"""The tables of settings, one class per table of `dental.toml`, with every default.

A string below a field describes it: pydantic keeps it as the field's description, and
docs/settings.md is generated from these. Groups are frozen values; unknown keys are refused.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pipeline.paths import expand_path

Flag = Literal[
    "blank", "low_contrast", "blurred", "overexposed", "underexposed", "odd_shape", "burned_in_text"
]


# What a person writes as a path, with `~` and `$VAR`.
EXPANDED = BeforeValidator(lambda value: expand_path(value) if isinstance(value, str) else value)


class Group(BaseModel):
    """A table of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Recipe(Group):
    """How crops are cut. Every field is part of the recipe's fingerprint."""

    side: int = Field(256, ge=8, le=2048)
    """Edge of a crop in pixels; the trunk's input size."""
    # A square of a fixed share, whatever the box's size: on 116 real panoramics the height of the
    # annotated box alone tells healthy from abnormal with AUROC 0.77.
    panoramic_share: float = Field(0.28, gt=0, le=1)
    """Edge of the square that is cut from a panoramic, as a share of the panoramic's height."""
    other_share: float = Field(0.6, gt=0, le=1)
    """Edge of the square around a box on any other scan, as a share of its shorter edge."""
    mask_border: float = Field(0.0, ge=0, lt=0.5)
    """Share of the height and of the width that is set to black along every edge before crops are
    cut, to hide letters burned into the image."""


class Quality(Group):
    """Bounds for image quality. A scan beyond a bound is flagged; it is rejected only when its flag
    is listed in `reject`.

    On 116 real panoramics contrast was 44 to 70, sharpness 216 to 2317, and black and white pixels
    at most 1 %.
    """

    blank_contrast: float = Field(3, ge=0)
    """Below this contrast (standard deviation in grey levels, 0 to 255) a scan is `blank`."""
    contrast: float = Field(15, ge=0)
    """Below this contrast (standard deviation in grey levels) a scan is `low_contrast`. A
    quarter of the normal exposure gives 11 to 15."""
    panoramic_sharpness: float = Field(150, ge=0)
    """Below this sharpness (variance of the Laplacian at 256 pixels) a panoramic is `blurred`. A
    panoramic blurred by 0.4 % of its width has 59 to 196."""
    # A periapical shows fewer teeth, so it has fewer edges (phantoms: 20 and more).
    other_sharpness: float = Field(10, ge=0)
    """Below this sharpness (as above) any other scan is `blurred`."""
    dark_share: float = Field(0.4, ge=0, le=1)
    """Above this share of black pixels a scan is `underexposed`."""
    bright_share: float = Field(0.15, ge=0, le=1)
    """Above this share of white pixels a scan is `overexposed`. Twice the normal exposure gives
    0.22."""
    shape: float = Field(3, ge=1)
    """Above this ratio of the longer to the shorter edge a scan is `odd_shape`."""
    reject: tuple[Flag, ...] = ()
    """Flags whose scans are rejected; all other flags are only recorded."""


class Layer(Group):
    """One convolution with its activation, and the pooling that follows it, if any."""

    filters: int = Field(ge=1)
    """Number of filters, the channels of the output."""
    kernel: int = Field(ge=1)
    """Edge of the square kernel in pixels."""
    stride: int = Field(1, ge=1)
    """Step of the kernel in pixels."""
    padding: Literal["same", "valid"] = "same"
    """`same` pads the input with zeros so that the kernel fits at every position, `valid` does not
    pad."""
    activation: Literal["relu", "linear", "tanh", "sigmoid", "elu", "gelu"] = "relu"
    """Activation function of the convolution."""
    pool: Literal["max", "average", "none"] = "max"
    """Pooling after the activation."""
    pool_size: int = Field(2, ge=2)
    """Edge and stride of the pooling window in pixels."""


NOTES = (
    Layer(filters=4, kernel=9),
    Layer(filters=8, kernel=5),
    Layer(filters=16, kernel=5),
    Layer(filters=32, kernel=3),
)


class Trunk(Group):
    """The frozen feature extractor; by default the four convolutions of 9×9, 5×5, 5×5 and 3×3."""

    # Weights learned from phantoms alone transfer a little: on 601 real crops in five grouped
    # folds a support-vector machine reaches an AUROC of 0.84 on it and 0.79 on random weights.
    weights: Annotated[Literal["phantoms", "random"] | Path, EXPANDED] = "phantoms"
    """The weights: `phantoms` (learned from synthetic radiographs, part of the package),
    `random`, or the path of a `.keras` file."""
    seed: int = Field(0, ge=0)
    """Seed of random weights."""
    channels: Literal[1, 3] = 3
    """Input channels; a grey crop is repeated for three."""
    # On 601 real crops: cosine to float32 at least 0.99994, AUROC of a support-vector machine over
    # five grouped folds 0.8434 instead of 0.8441, 1.3 ms of CPU a crop instead of 2.6.
    precision: Literal["float32", "bfloat16"] = "float32"
    """Numbers that the network computes with; weights and embeddings stay as they are. `bfloat16`
    takes half the time where the processor has it (`amx_bf16` or `avx512_bf16` among the flags of
    `/proc/cpuinfo`, or a GPU), is slower elsewhere, and makes another trunk."""
    layers: tuple[Layer, ...] = NOTES
    """The convolutions in order, each a table with the keys below."""
    model: Annotated[Literal["notes", "efficientnet-lite0"] | Path, EXPANDED] = "notes"
    """The network: `notes` (the one that the settings above describe), `efficientnet-lite0` with
    ImageNet weights (needs the extra `imagenet`), or the path of a `.keras` file with any image
    model of Keras 3. The settings below belong to such a model."""
    layer: str | None = None
    """Name of the model's layer whose output is stored; by default the last map before pooling."""
    pool: Literal["none", "mean+max+middle"] | Annotated[int, Field(ge=1)] = "none"
    """What is stored of that layer's map: `none` for all of it, a number n for its averages over
    n × n cells, or `mean+max+middle` for a vector: the mean, the maximum and the mean of the middle
    half of the map."""
    scale: Literal["0..255", "0..1", "-1..1"] = "0..255"
    """Range of the pixels that the model of a file takes. Of `keras.applications`, EfficientNet,
    ConvNeXt and MobileNetV3 take 0..255 and scale inside; MobileNet, MobileNetV2, Xception,
    Inception and ResNetV2 take -1..1."""

    @property
    def is_notes(self) -> bool:
        """Whether it is the network that `layers` describes."""
        return self.model == "notes"


class Learn(Group):
    """How `dental learn-trunk` learns a trunk from stored crops."""

    labels: bool = True
    """Learn from labels; without them the trunk learns to recognise two views of the same crop."""
    epochs: int = Field(60, ge=1)
    """Largest number of passes over the training crops."""
    patience: int = Field(30, ge=1)
    """Stop after this many epochs without a better validation AUROC."""
    batch_size: int = Field(32, ge=2)
    """Crops per gradient step."""
    learning_rate: float = Field(3e-3, gt=0)
    """Peak learning rate."""
    weight_decay: float = Field(0.02, ge=0)
    """Decoupled weight decay (AdamW)."""
    seed: int = Field(0, ge=0)
    """Seed of initial weights, of the order of crops and of augmentation."""


class Head(Group):
    """The dense/softmax network that is trained on stored embeddings."""

    units: tuple[int, ...] = (2048, 1024)
    """Units of the dense layers before the softmax."""
    epochs: int = Field(40, ge=1)
    """Largest number of passes over the training rows."""
    patience: int = Field(15, ge=1)
    """Stop after this many epochs without a lower validation loss after calibration."""
    batch_size: int = Field(32, ge=1)
    """Rows per gradient step."""
    learning_rate: float = Field(3e-3, gt=0)
    """Initial learning rate; it decays to zero along a cosine."""
    weight_decay: float = Field(1e-2, ge=0)
    """Decoupled weight decay (AdamW)."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Share of inputs that dropout sets to zero while training."""
    seed: int = Field(0, ge=0)
    """Seed of initial weights, of the order of rows and of augmentation."""
    min_patients: int = Field(10, ge=1)
    """Patients with labels that each side (training, validation, test) needs before a head is
    trained."""


class Novelty(Group):
    """The model of normal crops, which needs no labels but those of `normal_class`."""

    seed: int = Field(0, ge=0)
    """Seed of the patches that are drawn."""
    min_patients: int = Field(10, ge=1)
    """Patients that the training side needs before a model is learned."""
    score: Literal["peak", "mean"] = "peak"
    """How the distances of a map's cells become a crop's scores: `peak`, the largest, or `mean`,
    which separates better on EfficientNet-lite0 and worse on the trunk from phantoms. Of a place
    only the middle counts. A vector is one cell, so both give the same."""


class Dask(Group):
    """An existing Dask cluster, used when `runner = "dask"`."""

    # Whoever reaches a scheduler can run any code as the user of its workers.
    address: str | None = None
    """Address of the scheduler; it must begin with `tls://` unless it is one of this machine."""
    receive: dict[str, float] = {}
    """Worker resources that decoding a part takes, such as `{SCANS = 1}`; only workers started with
    them (`--resources`) decode. They need the private folder and the scans."""
    embed: dict[str, float] = {}
    """Worker resources that embedding a part takes, such as `{GPU = 1}`; empty: any worker."""


class Drift(Group):
    """When a batch counts as different from its reference."""

    alarm_rate: float = Field(0.01, ge=0.001, le=0.5)
    """Rate of false alarms among batches that do not differ from the reference."""
    reference: tuple[str, ...] = ()
    """Names of the batches that form the reference; empty: the first batches, until they hold
    `reference_patients`."""
    reference_patients: int = Field(50, ge=10)
    """Patients of a modality that a reference needs."""
    batch_patients: int = Field(10, ge=4)
    """Patients of a modality that a batch needs to be compared."""


# Tables by their key; `layers` is the key of each of a trunk's layers.
GROUPS = {
    "quality": Quality,
    "recipe": Recipe,
    "trunk": Trunk,
    "layers": Layer,
    "learn": Learn,
    "head": Head,
    "novelty": Novelty,
    "drift": Drift,
    "dask": Dask,
}
