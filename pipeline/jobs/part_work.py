"""What the stages of a run do to one part, as values that any process can take up.

Such a value holds the settings, the name of the batch and the names of models; never the key, the
name of a delivered file or a picture.
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
    """Work for a run that holds its batch, seen from whatever process does it."""

    job: Job
    stage: ClassVar[str]

    def __call__(self, number: int, advance: Advance) -> object:
        tools = resources_for(self.job)
        tools.store.require()
        return self.do(tools, number, advance)

    def do(self, tools: Resources, number: int, advance: Advance) -> object:
        raise NotImplementedError


class Receive(PartWork):
    """From listed files to crops and ledger; opens the private folder where it runs."""

    stage, needs = "receive", "receive"

    def do(self, tools: Resources, number: int, advance: Advance) -> None:
        rivals = DeliveryLists(tools.opened.private, self.job.batch).parts_with_same_sizes
        CommitOrder(tools.store, rivals, tools.receiver(advance).receive_part).take(number)

    def private_message(self, number: int, words: str) -> str | None:
        """Tell it here: it may name a delivered file, and names do not travel."""
        try:
            private = resources_for(self.job).opened.private
        except PipelineError as error:
            return str(error)  # the private folder was never opened, so no name was seen
        private.log_message(
            f"stage {self.stage}, part {number} of {self.job.batch} failed: {words}"
        )
        return None


class Recut(Receive):
    """Crops of a received part cut again; how many scans could not be read again."""

    stage = "cut again"

    def do(self, tools: Resources, number: int, advance: Advance) -> int:
        return tools.receiver(advance).recut_part(number)


class Embed(PartWork):
    """From crops to features."""

    stage, needs = "embed", "embed"

    def do(self, tools: Resources, number: int, advance: Advance) -> None:
        job = self.job
        embed_part(tools.store, job.batch, number, job.chosen, tools.embed, advance)


@dataclass(frozen=True)
class Score(PartWork):
    """From features to scores of novelty."""

    novelty_id: str
    stage, needs = "novelty", ""

    def do(self, tools: Resources, number: int, advance: Advance) -> None:
        fitted = tools.fitted(self.novelty_id)
        score_part(tools.store, self.job.batch, number, self.job.chosen, fitted, advance)


@dataclass(frozen=True)
class Predict(PartWork):
    """From features to predictions."""

    head_id: str
    stage, needs = "predict", ""

    def do(self, tools: Resources, number: int, advance: Advance) -> None:
        head = tools.head(self.head_id)
        predict_part(tools.store, self.job.batch, number, self.job.chosen, head)


_working = threading.Lock()


def attempt_elsewhere(work: PartWork, number: int) -> Attempt:
    """Work on one part in a process that serves a run elsewhere; raises nothing.

    One part at a time: inside a part decoding and embedding use every core already.
    """
    if work.job.made_with != made_with():
        words = (
            "A worker has another version of this pipeline or of its libraries than the run, and "
            "its parts would differ. Install the same version with the same requirements.lock "
            "there, and restart it."
        )
        return Attempt(failed=True, words=words)
    steps: list[int] = []
    with _working:
        found = attempt(work, number, steps.append)
    return replace(found, advanced=sum(steps))
