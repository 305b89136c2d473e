"""All settings: defaults here, changes in `dental.toml` or in DENTAL_… variables.

A string below a field describes it, as in `setting_groups.py`.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict, TomlConfigSettingsSource

from pipeline.config.setting_groups import (
    EXPANDED,
    Dask,
    Drift,
    Head,
    Learn,
    Novelty,
    Quality,
    Recipe,
    Trunk,
)
from pipeline.errors import ConfigError
from pipeline.labels import ClassNames, Label, Numbering
from pipeline.paths import expand_path
from pipeline.removed_settings import ignore_removed

SETTINGS_FILE = "dental.toml"
PREFIX = "DENTAL_"
# Measured with 120 million pixels: a windowed 12-bit DICOM takes 24.5, JPEG, PNG and TIFF 4.
BYTES_PER_PIXEL = 26

# A folder or an s3:// address as text: a Path would drop one of the two slashes.
Address = Annotated[
    str, EXPANDED, BeforeValidator(lambda value: str(value) if isinstance(value, Path) else value)
]
Folder = Annotated[Path, EXPANDED]

PLACEHOLDER_IDS = (
    "anonymous",
    "anonymized",
    "anonymised",
    "anon",
    "deidentified",
    "de-identified",
    "unknown",
    "unidentified",
    "none",
    "null",
    "nil",
    "nan",
    "na",
    "n/a",
    "no id",
    "noid",
    "no name",
    "noname",
    "test",
    "dummy",
    "redacted",
    "removed",
    "0",
)


def _one_group(text: str) -> str:
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise ValueError(f"not a regular expression ({error})") from None
    if groups != 1:
        raise ValueError(f"a regular expression with {groups} groups, expected one: the patient")
    return text


def _level_or_pattern(value: object) -> object:
    """Variables are texts, also those that hold a level."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _level_or_one_group(rule: int | str) -> int | str:
    if isinstance(rule, str):
        return _one_group(rule)
    if rule < 1:
        raise ValueError("a level below 1, which is that of the folders directly in the batch")
    return rule


Pattern = Annotated[str, AfterValidator(_one_group)]
PatientFolders = Annotated[
    int | str, BeforeValidator(_level_or_pattern), AfterValidator(_level_or_one_group)
]


class Settings(BaseSettings):
    """The settings of a run."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    store: Annotated[str, EXPANDED] = "data/store"
    """The store: a folder, or `s3://BUCKET/PREFIX`."""
    private: Folder | None = None
    """The private folder with the key and the names of delivered files. By default `STORE.private`
    beside a local store; a store on S3 needs the setting."""
    normal_class: Label = "healthy"
    """The label that means no finding."""
    class_folders: tuple[Label, ...] = ()
    """Sub-folders of a batch that are classes, in addition to those in its `classes.txt`."""
    class_names: ClassNames = {}
    """Labels by the class names of label files and folders, where another one is meant:
    `{"çürük" = "caries", "Crown/Bridge" = "crown"}`. Case, accents and blanks of a name do not
    count."""
    numbering: Numbering = "fdi"
    """How label files number teeth, in columns `tooth` and in classes that are teeth: `fdi`,
    `universal` (1 to 32, A to T) or `palmer` (UR6, LL3, ULA). They are stored as FDI numbers."""
    empty_is_normal: bool = False
    """Scans whose YOLO file is empty, or whose row of a table with class columns has no 1, get the
    label `normal_class`, as a whole. Otherwise they have no label."""
    patient_folders: PatientFolders | None = None
    """Folders that stand for patients where neither a table nor DICOM names one: a level (1 for the
    folders directly in the batch), or a regular expression with one group, which is searched in
    the path of a scan's folder below the batch."""
    patient_names: Pattern | None = None
    """Regular expression with one group, the patient, which is searched in the name of a scan's
    file where nothing else names one, such as `^(P[0-9]+)_`."""
    placeholder_ids: tuple[str, ...] = PLACEHOLDER_IDS
    """DICOM PatientIDs that name no one and count as none, whatever their case. Also in tables and
    folders, except for numbers; empty IDs always are."""
    given_splits: bool = False
    """Keep the sides of a data set that comes split into folders `train`, `valid` and `test`: a
    patient is on the side of that folder. Otherwise the folders are ignored, and a keyed hash of
    the patient decides."""
    classes: tuple[Label, ...] = ()
    """Labels a reviewer may use, in addition to those that were ever delivered."""
    part_size: int = Field(128, ge=1)
    """Scans per part, the unit of writing, retry and resume."""
    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """Decoding processes; by default one per processor core."""
    max_pixels: int = Field(120_000_000, ge=1)
    """Largest scan in pixels; larger ones are rejected."""
    scan_seconds: float = Field(60, gt=0)
    """Time limit in seconds for decoding one scan; slower ones are rejected."""
    scan_memory_mb: int = Field(4096, ge=256)
    """Memory limit in MiB for decoding one scan, on top of what an idle worker uses."""
    follow_links: bool = False
    """Follow symbolic links in a batch; otherwise each is a rejected row."""
    max_rejected_share: float = Field(0.10, ge=0, le=1)
    """Share of rejected scans above which the exit status is 2."""
    near_duplicate_bits: int = Field(4, ge=0, le=64)
    """Two scans look alike when their perceptual hashes differ in at most this many of 64 bits."""
    audits: int = Field(5, ge=0)
    """Crops drawn at random (by a hash, whatever their score) for a person to label, per batch and
    night."""
    double_read: Literal["audit", "all", "none"] = "audit"
    """Crops that two reviewers read, each without seeing what the other decided: those drawn for
    the `audit`, `all`, or `none`."""
    inbox: Address | None = None
    """Folder or `s3://BUCKET/PREFIX` whose sub-folders are batches; `dental nightly` processes what
    is new there."""
    feedback: Folder | None = None
    """Folder of reviewers' tables (CSV or Excel); `dental nightly` applies each content once."""
    min_new_labels: int = Field(50, ge=1)
    """Newly labelled crops after which `dental nightly` trains a head."""
    # Nothing can be run after a power cut: have `dental status` asked from another machine.
    on_failure: str | None = None
    """Shell command that is run when `dental nightly` fails, with the summary on its standard
    input; it is stopped after 60 seconds."""
    schedule: str = "0 1 * * *"
    """When `dental serve` starts a night, as a cron line."""
    timezone: str = "UTC"
    """Time zone of `schedule`, such as Europe/Berlin."""
    quality: Quality = Quality()
    recipe: Recipe = Recipe()
    trunk: Trunk = Trunk()
    learn: Learn = Learn()
    head: Head = Head()
    novelty: Novelty = Novelty()
    drift: Drift = Drift()
    runner: Literal["threads", "dask"] = "threads"
    """Where parts are processed: in threads of this process, or on a Dask cluster."""
    dask: Dask = Dask()

    _ignore_removed = ignore_removed

    @property
    def private_folder(self) -> Path:
        """The folder with the key, the delivery lists and the messages; never inside the store.

        Raises ConfigError for a store on S3 without the setting: a bucket has no folder beside it.
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

    @property
    def label_of_empty_files(self) -> str | None:
        """The label of scans whose YOLO file is empty; None if they have none."""
        return self.normal_class if self.empty_is_normal else None

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, env_settings, **_):
        """Arguments win over variables, variables over the file, the file over the defaults."""
        file = TomlConfigSettingsSource(settings_cls, toml_file=settings_file())
        return init_settings, env_settings, file


def settings_file() -> Path:
    """The settings file in force; it need not exist unless DENTAL_CONFIG names it."""
    named = os.environ.get("DENTAL_CONFIG", SETTINGS_FILE)
    try:
        return Path(expand_path(named))
    except ValueError as problem:
        raise ConfigError(f"DENTAL_CONFIG is {named!r}: {problem}.") from None
