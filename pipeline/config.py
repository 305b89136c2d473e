"""The settings of one run: defaults here, changes in `dental.toml` or in DENTAL_… variables.

Settings are frozen values. A key that nobody knows is refused with the nearest known one.
"""

import os
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, TomlConfigSettingsSource

from pipeline.errors import ConfigError
from pipeline.labels import Label
from pipeline.removed_settings import REMOVED, ignore_removed, variable_of

SETTINGS_FILE = "dental.toml"
PREFIX = "DENTAL_"
# Not settings: where the settings file lies, and where the tests find real scans.
OTHER_VARIABLES = {"DENTAL_CONFIG", "DENTAL_TEST_DATA"}
# Measured with 120 million pixels: a windowed 12-bit DICOM takes 24.5, JPEG, PNG and TIFF 4.
BYTES_PER_PIXEL = 26

Flag = Literal[
    "blank", "low_contrast", "blurred", "overexposed", "underexposed", "odd_shape", "burned_in_text"
]
# Where something lies: a folder, or s3://…, whose two slashes a Path would make one.
Address = Annotated[
    str, BeforeValidator(lambda said: str(said) if isinstance(said, Path) else said)
]


class Group(BaseModel):
    """A table of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Recipe(Group):
    """How crops are cut. Every field is part of the recipe's fingerprint."""

    side: int = Field(256, ge=8, le=2048)  # pixels of a crop's edge; what the trunk expects
    # A square of a fixed share, whatever the box's size: on 116 real panoramics the height of the
    # annotated box alone tells healthy from abnormal with AUROC 0.77.
    panoramic_share: float = Field(0.28, gt=0, le=1)  # of a panoramic's height
    other_share: float = Field(0.6, gt=0, le=1)  # of any other scan's shorter edge
    # Blacked before crops are cut, against letters burned in there; of the height and the width.
    mask_border: float = Field(0.0, ge=0, lt=0.5)


class Quality(Group):
    """Bounds of good scans; one beyond them is flagged, and rejected when its flag is listed.

    On 116 real panoramics: contrast 44 to 70, sharpness 216 to 2317, black and white at most 1 %.
    """

    blank_contrast: float = Field(3, ge=0)  # grey levels of 255; less is a picture of one tone
    contrast: float = Field(15, ge=0)  # a quarter of the exposure gives 11 to 15
    # Variance of the Laplacian at 256 pixels. A panoramic blurred by 0.4 % of its width has 59 to
    # 196; a periapical shows fewer teeth, so it has fewer edges (phantoms: 20 and more).
    panoramic_sharpness: float = Field(150, ge=0)
    other_sharpness: float = Field(10, ge=0)
    dark_share: float = Field(0.4, ge=0, le=1)  # of black pixels
    bright_share: float = Field(0.15, ge=0, le=1)  # of white pixels; twice the exposure: 0.22
    shape: float = Field(3, ge=1)  # longer by shorter edge
    reject: tuple[Flag, ...] = ()


class Layer(Group):
    """One convolution with its activation, and the pooling that follows it, if any."""

    filters: int = Field(ge=1)
    kernel: int = Field(ge=1)
    stride: int = Field(1, ge=1)
    padding: Literal["same", "valid"] = "same"
    activation: Literal["relu", "linear", "tanh", "sigmoid", "elu", "gelu"] = "relu"
    pool: Literal["max", "average", "none"] = "max"
    pool_size: int = Field(2, ge=2)


NOTES = (
    Layer(filters=4, kernel=9),
    Layer(filters=8, kernel=5),
    Layer(filters=16, kernel=5),
    Layer(filters=32, kernel=3),
)


class Trunk(Group):
    """The feature extractor: the network of the notes unless told otherwise."""

    # What was learned from phantoms alone carries over a little: on 601 real crops in five grouped
    # folds a support-vector machine reaches an AUROC of 0.84 on it and 0.79 on random weights.
    weights: Literal["phantoms", "random"] | Path = "phantoms"  # or a .keras file
    seed: int = Field(0, ge=0)  # of random weights
    channels: Literal[1, 3] = 3
    layers: tuple[Layer, ...] = NOTES


class Learn(Group):
    """How a trunk is learned from stored crops."""

    labels: bool = True  # false: without them, by telling views of different crops apart
    epochs: int = Field(60, ge=1)
    patience: int = Field(30, ge=1)  # epochs without a better validation AUROC
    batch_size: int = Field(32, ge=2)
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    seed: int = Field(0, ge=0)


class Head(Group):
    """The dense/softmax network that is trained on stored embeddings."""

    units: tuple[int, ...] = (2048, 1024)
    # Learn with weights shared over the map where `units` allow it; stored dense all the same.
    shared: bool = True
    epochs: int = Field(40, ge=1)
    patience: int = Field(15, ge=1)  # epochs without a better validation loss
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(3e-3, gt=0)  # at the start; it falls to zero by a cosine
    weight_decay: float = Field(1e-2, ge=0)
    dropout: float = Field(0.3, ge=0, lt=1)
    shift: int = Field(1, ge=0)  # cells by which training maps move at most, when shared
    mirror: bool = True  # whether half of the training maps are mirrored, when shared
    # Steps in which it then learns to say the mean of itself and a support-vector machine.
    taught: int = Field(100, ge=0)
    seed: int = Field(0, ge=0)
    min_patients: int = Field(10, ge=1)  # with labels, on each side, before a head is trained


class Novelty(Group):
    """What is normal, learned without labels but those that say `normal_class`."""

    coreset: int = Field(500, ge=1)  # patches that stand for all normal ones
    seed: int = Field(0, ge=0)
    min_patients: int = Field(10, ge=1)  # on the training side, before anything is learned


class Dask(Group):
    """An existing Dask cluster, for `runner = "dask"`."""

    # Of the scheduler. tls:// unless it listens on this machine alone: who reaches a scheduler can
    # run what they like as the user of its workers.
    address: str | None = None
    # What a worker must offer (its --resources) and a part takes of it, such as {GPU = 1}.
    receive: dict[str, float] = {}  # to decode scans; it needs the private folder and the scans
    embed: dict[str, float] = {}


class Drift(Group):
    """Whether a batch differs from a reference by more than chance."""

    alarm_rate: float = Field(0.01, ge=0.001, le=0.5)  # of false alarms, in batches like it
    # Batches that show what is usual; by default the first ones, until they hold enough patients.
    reference: tuple[str, ...] = ()
    reference_patients: int = Field(50, ge=10)  # of a modality, before there is a reference
    batch_patients: int = Field(10, ge=4)  # of a modality; fewer are too few to tell


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


class Settings(BaseSettings):
    """Everything a run can be told."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    store: str = "data/store"  # a folder, or s3://BUCKET/PREFIX
    private: Path | None = None  # a folder; default: STORE.private beside the store, none for S3
    normal_class: Label = "healthy"
    class_folders: tuple[Label, ...] = ()  # names of sub-folders that are classes
    classes: tuple[Label, ...] = ()  # a reviewer may use, besides those that were ever delivered
    part_size: int = Field(128, ge=1)  # scans per part, the unit of writing, retry and resume
    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    max_pixels: int = Field(120_000_000, ge=1)  # of one scan; larger ones are rejected
    scan_seconds: float = Field(60, gt=0)  # for decoding one scan; slower ones are rejected
    scan_memory_mb: int = Field(4096, ge=256)  # for decoding one scan, beyond an idle worker's own
    follow_links: bool = False  # symbolic links in a batch; else each is a rejected row
    max_rejected_share: float = Field(0.10, ge=0, le=1)  # above it the exit status is 2
    near_duplicate_bits: int = Field(4, ge=0, le=64)  # of 64; scans whose hashes differ in no more
    # Crops a night that a hash draws for a person to label, whatever any head says of them.
    audits: int = Field(5, ge=0)
    # A folder or s3://BUCKET/PREFIX with batch folders; every nightly run takes what is new there.
    inbox: Address | None = None
    feedback: Path | None = None  # a folder of reviewers' CSV tables; each content is applied once
    min_new_labels: int = Field(50, ge=1)  # crops labelled anew before a nightly run trains a head
    # By the shell, when a nightly run fails; what happened comes on its standard input. It has
    # 60 s. Nothing can be run after a power cut: have `dental status` asked from elsewhere.
    on_failure: str | None = None
    schedule: str = "0 1 * * *"  # a cron line, for `make serve` alone
    timezone: str = "UTC"  # of the cron line, such as Europe/Berlin
    quality: Quality = Quality()
    recipe: Recipe = Recipe()
    trunk: Trunk = Trunk()
    learn: Learn = Learn()
    head: Head = Head()
    novelty: Novelty = Novelty()
    drift: Drift = Drift()
    runner: Literal["threads", "dask"] = "threads"  # where parts are worked on: here, or on Dask
    dask: Dask = Dask()

    _ignore_removed = ignore_removed

    @property
    def private_folder(self) -> Path:
        """Where the key, the delivery lists and the messages lie; never inside the store.

        Raises ConfigError for a store on S3 without the setting: nothing lies beside a bucket.
        """
        if self.private is None and "://" in self.store:
            raise ConfigError(
                f"The store {self.store} needs a private folder of this machine or of a share, for "
                "its key and the names of delivered files. Set DENTAL_PRIVATE to one, mode 0700, "
                "which you back up; the same one for every run of this store."
            )
        store = Path(self.store)
        return self.private or store.with_name(store.name + ".private")

    @property
    def pixel_limit(self) -> int:
        """Pixels of one scan, as many as both `max_pixels` and `scan_memory_mb` admit."""
        return min(self.max_pixels, self.scan_memory_mb * 2**20 // BYTES_PER_PIXEL)

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, env_settings, **_):
        """Arguments win over variables, variables over the file, the file over the defaults."""
        file = TomlConfigSettingsSource(settings_cls, toml_file=settings_file())
        return init_settings, env_settings, file


def settings_file() -> Path:
    """The settings file in force; it need not exist unless DENTAL_CONFIG names it."""
    return Path(os.environ.get("DENTAL_CONFIG", SETTINGS_FILE))


def load(**changes) -> Settings:
    """Read the settings. A key nobody knows is an error, not a silent default."""
    file = settings_file()
    if "DENTAL_CONFIG" in os.environ and not file.is_file():
        raise ConfigError(f"DENTAL_CONFIG names {file}, which is no file; correct or unset it.")
    refuse_unknown_variables()
    try:
        return Settings(**changes)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.") from None
    except ValidationError as invalid:
        raise ConfigError(
            "\n".join(format_validation_error(error, file) for error in invalid.errors())
        ) from None
    except ValueError as error:  # a DENTAL_… variable that holds no valid JSON
        raise ConfigError(f"{error}; correct the {PREFIX}… variable.") from None


def format_validation_error(error: dict, file: Path) -> str:
    """One line for one invalid setting: what came, what was expected, what to do."""
    *path, name = [str(step) for step in error["loc"]]
    key, variable = ".".join([*path, name]), f"{PREFIX}{'__'.join([*path, name]).upper()}"
    if error["type"] != "extra_forbidden":
        return (
            f"Setting `{key}` is {error['input']!r}: "
            f"{error['msg'].removeprefix('Value error, ').lower()}. "
            f"Correct it in {file} or in {variable}."
        )
    group: type[BaseModel] = Settings
    for step in path:
        if not step.isdigit():
            group = GROUPS[step]
    where = variable if variable in os.environ else file
    return f"{where}: unknown setting `{key}`. {nearest(name, list(group.model_fields))}"


def refuse_unknown_variables() -> None:
    """A misspelt DENTAL_… variable would silently change nothing, so it is an error."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | OTHER_VARIABLES
    removed = {variable_of(key, PREFIX) for key in REMOVED}
    for variable in {name for name in os.environ if name.startswith(PREFIX)} - removed:
        if variable.split("__")[0] not in known:
            raise ConfigError(f"Unknown variable `{variable}`. {nearest(variable, sorted(known))}")


def nearest(name: str, known: list[str]) -> str:
    """A hint for a name that is not known."""
    near = get_close_matches(name, known, n=1)
    return f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(known)}."
