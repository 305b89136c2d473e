"""Fakes for what is slow: worker processes, the trunk, the clock; and how to use them."""

import datetime
from concurrent.futures import Future
from types import SimpleNamespace

import numpy as np

from pipeline.errors import ScanRejected
from pipeline.ingest import delivery_lists, list_files
from pipeline.jobs import resources
from pipeline.report import batch_report


class InProcessPool:
    """Decodes in this process. Worker processes take seconds to start."""

    def __init__(self, *_):
        pass

    def map(self, work, items):
        for item in items:
            try:
                yield work(item.result() if isinstance(item, Future) else item)
            except ScanRejected as rejection:
                yield rejection

    def close(self):
        pass


class FakeTrunk:
    """Embeds by taking every fourth pixel. Importing TensorFlow takes long."""

    @staticmethod
    def embed(crops):
        small = crops[:, ::4, ::4].astype(np.float16).reshape(len(crops), -1)
        return np.tile(small, (1, 8))


class FrozenClock(datetime.datetime):
    """Delivery lists carry the time they were written; at one time they are the same bytes."""

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 1, 1, tzinfo=tz)


def use_fakes(patch):
    """Avoid what is slow: a second look at fresh files, worker processes, TensorFlow, figures."""
    patch.setattr(list_files, "SECOND_LOOK_SECONDS", 0)
    patch.setattr(resources, "WorkerPool", InProcessPool)
    patch.setattr(resources, "embedder", lambda store, chosen: FakeTrunk)
    patch.setattr(batch_report, "render", repr)


def freeze_delivery_times(patch):
    """Write delivery lists at one time, so that two runs can be compared byte for byte."""
    frozen = SimpleNamespace(datetime=FrozenClock, UTC=datetime.UTC)
    patch.setattr(delivery_lists, "datetime", frozen)
