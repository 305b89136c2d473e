"""Every error this project raises on purpose.

PipelineError
├── ConfigError      a setting or an argument asks for something impossible
├── StoreError       the store cannot be used: read-only, full, other key or schema
├── BatchBusy        another run is processing this batch
├── NightBusy        another nightly run is active and does this one's work
├── ScanRejected     one scan cannot be used; the batch continues without it
├── ArtifactError    a stored part or model does not match its schema or card
├── NotEnoughData    too few patients or labels for the request
└── StageFailed      a stage could not finish one part; the other parts continue
"""

from typing import Self


class PipelineError(Exception):
    """Base of all errors raised on purpose; caught at the command line only.

    `public` is what may be stored about it: a text without paths, names and identifiers, or None.
    """

    public: str | None = None

    def with_public(self, text: str) -> Self:
        """Set `public`; returns the error, to be raised."""
        self.public = text
        return self


class ConfigError(PipelineError):
    """A setting or an argument asks for something impossible."""


class StoreError(PipelineError):
    """The store cannot be used."""


class BatchBusy(PipelineError):
    """Another run is processing this batch."""


class NightBusy(PipelineError):
    """Another nightly run is active and does this one's work."""


class ScanRejected(PipelineError):
    """One scan cannot be used. `reason` is a short code that is stored in Parquet.

    So is the message: it may contain numbers, never a name, path or identifier.
    """

    def __init__(self, reason: str, message: str):
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message


class ArtifactError(PipelineError):
    """A stored part or model does not match its schema or card."""


class NotEnoughData(PipelineError):
    """Too few patients or labels for the request; the message names none of them."""

    @property
    def public(self) -> str:
        return str(self)


class StageFailed(PipelineError):
    """A stage could not finish one part.

    Prefect stores exception texts, so this one names stage, batch and part only; the cause is in
    the private messages. `may_pass` means that a retry may help (disk, network).
    """

    def __init__(self, stage: str, batch: str, part: int, may_pass: bool = False):
        super().__init__(stage, batch, part, may_pass)
        self.stage, self.batch, self.part, self.may_pass = stage, batch, part, may_pass

    @property
    def public(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return f"stage {self.stage} could not finish part {self.part} of batch {self.batch}"
