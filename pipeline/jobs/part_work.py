"""The work of each stage on one part, as picklable values that any process can execute.

Such a value holds the settings, the batch name and the ids of models; never the key, the name of a
delivered file or an image.
"""

import threading
from dataclasses import dataclass, replace
from typing import ClassVar

from pipeline.errors import PipelineError
from pipeline.ingest.delivery_lists import DeliveryLists
from pipeline.jobs.commit_order import CommitOrder
from pipeline.jobs.resources import Job, Resources, made_with, resources_for
from pipeline.progress import Advance
from pipeline.stages.embed import embed_part
from pipeline.stages.parts_loop import Attempt, Work, attempt
from pipeline.stages.predict import predict_part
from pipeline.stages.score_novelty import score_part


@dataclass(frozen=True)
class PartWork(Work):
    """Work for a run; refuses to start unless the run holds its batch."""

    job: Job
    stage: ClassVar[str]

    def __call__(self, number: int, advance: Advance) -> object:
        resources = resources_for(self.job)
        resources.store.require()
        return self.do(resources, number, advance)

    def do(self, resources: Resources, number: int, advance: Advance) -> object:
        raise NotImplementedError


class Receive(PartWork):
    """From listed files to crops and ledger; needs the private folder where it runs."""

    stage, needs = "receive", "receive"

    def do(self, resources: Resources, number: int, advance: Advance) -> None:
        rivals = DeliveryLists(resources.opened.private, self.job.batch).parts_with_same_sizes
        CommitOrder(resources.store, rivals, resources.receiver(advance).receive_part).take(number)

    def private_message(self, number: int, message: str) -> str | None:
        """Log the message here: it may name a delivered file, which must not be sent."""
        try:
            private = resources_for(self.job).opened.private
        except PipelineError as error:
            return str(error)  # the private folder was not opened, so the message names no file
        private.log_message(
            f"stage {self.stage}, part {number} of {self.job.batch} failed: {message}"
        )
        return None


class Recut(Receive):
    """Cut the crops of a received part again; returns how many scans could not be read."""

    stage = "cut again"

    def do(self, resources: Resources, number: int, advance: Advance) -> int:
        return resources.receiver(advance).recut_part(number)


class CutDrawn(Receive):
    """Cut the boxes that a reviewer drew; returns how many could not be cut."""

    stage = "cut drawn"

    def do(self, resources: Resources, number: int, advance: Advance) -> int:
        return resources.receiver(advance).cut_drawn(number)


class Embed(PartWork):
    """From crops to features."""

    stage, needs = "embed", "embed"

    def do(self, resources: Resources, number: int, advance: Advance) -> None:
        job = self.job
        embed_part(resources.store, job.batch, number, job.chosen, resources.embed, advance)


@dataclass(frozen=True)
class Score(PartWork):
    """From features to novelty scores."""

    novelty_id: str
    stage, needs = "novelty", ""

    def do(self, resources: Resources, number: int, advance: Advance) -> None:
        fitted = resources.fitted(self.novelty_id)
        score_part(resources.store, self.job.batch, number, self.job.chosen, fitted, advance)


@dataclass(frozen=True)
class Predict(PartWork):
    """From features to predictions."""

    head_id: str
    stage, needs = "predict", ""

    def do(self, resources: Resources, number: int, advance: Advance) -> None:
        head = resources.head(self.head_id)
        predict_part(resources.store, self.job.batch, number, self.job.chosen, head)


_working = threading.Lock()


def attempt_elsewhere(work: PartWork, number: int) -> Attempt:
    """Process one part in a worker of a run on another machine; never raises.

    One part at a time, since decoding and embedding use every core already.
    """
    if work.job.made_with != made_with():
        message = (
            "A worker has another version of this pipeline or of its libraries than the run, and "
            "its parts would differ. Install the same version with the same requirements.lock "
            "there, and restart it."
        )
        return Attempt(failed=True, message=message)
    steps: list[int] = []
    with _working:
        found = attempt(work, number, steps.append)
    return replace(found, advanced=sum(steps))
