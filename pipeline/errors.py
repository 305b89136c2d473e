"""Every error this project raises on purpose.

PipelineError
├── ConfigError      a setting or an argument asks for something impossible
├── StoreError       the store cannot be used: read-only, full, of another key or schema
├── BatchBusy        another run works on this batch
├── NightBusy        another nightly run is going on, and does this one's work
├── ScanRejected     one scan is unusable; the batch goes on without it
├── ArtifactError    a stored part or model is not what its schema or card says it is
├── NotEnoughData    too few patients or labels for what was asked
└── StageFailed      a stage could not finish one part; the other parts go on
"""


class PipelineError(Exception):
    """Base of all errors raised on purpose; caught at the command line only."""


class ConfigError(PipelineError):
    """A setting or an argument asks for something impossible."""


class StoreError(PipelineError):
    """The store cannot be used."""


class BatchBusy(PipelineError):
    """Another run works on this batch."""


class NightBusy(PipelineError):
    """Another nightly run is going on, and does this one's work."""


class ScanRejected(PipelineError):
    """One scan cannot be used. `reason` is a short code that ends up in Parquet.

    The message ends up there too: it may hold numbers, never a name, path or identifier.
    """

    def __init__(self, reason: str, message: str):
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message


class ArtifactError(PipelineError):
    """A stored part or model is not what its schema or card says it is."""


class NotEnoughData(PipelineError):
    """Too few patients or labels for what was asked."""


class StageFailed(PipelineError):
    """A stage could not finish one part.

    Prefect stores exception texts, so this one names stage, batch and part alone; what happened
    stands in the private messages. `may_pass` says that trying again may help (disk, network).
    """

    def __init__(self, stage: str, batch: str, part: int, may_pass: bool = False):
        super().__init__(stage, batch, part, may_pass)
        self.stage, self.batch, self.part, self.may_pass = stage, batch, part, may_pass

    def __str__(self) -> str:
        return f"stage {self.stage} could not finish part {self.part} of batch {self.batch}"
