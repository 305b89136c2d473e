"""Worker processes for decoding: one that crashes, hangs or bloats costs its own scan, no other.

Decoders are C code that meets hostile bytes. concurrent.futures loses the whole pool with one crash
and cannot end a hang. pebble can, but shares one pipe among all workers: a worker killed while it
is idle breaks the pool (tried with 5.2.3). Here every process has a pipe of its own and a thread of
the master that feeds it, so whatever happens to a process happens to one task.
"""

import os
import pickle
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

from pipeline.errors import ScanRejected
from pipeline.ingest.workers import messages
from pipeline.ingest.workers.worker import Outcome

Item = TypeVar("Item")
Result = TypeVar("Result")

START_SECONDS = 300  # importing OpenCV from a cold network disk; only a broken installation waits
# A crash is tried once more in a fresh process: the first may have been killed from outside, by
# the kernel for want of memory or by hand, and a scan must not be lost to that.
ATTEMPTS = 2
# As many workers as cores are at work already.
ONE_THREAD = dict.fromkeys(
    ("OPENCV_FOR_THREADS_NUM", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1"
)


class WorkerDied(Exception):
    """A worker process ended before it answered."""


class WorkerTimeout(Exception):
    """A worker process did not answer in time."""


class Process:
    """One worker process and its pipe. It starts in about a second, and is used again and again."""

    def __init__(self, module: str, seconds: float, memory_mb: int):
        self.ready = False
        self._pipe, theirs = socket.socketpair()
        # Not multiprocessing: its children import the main module again, all of Prefect for some.
        begin = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            "from pipeline.ingest.workers.worker import serve; "
            f"serve({theirs.fileno()}, {module!r}, {seconds!r}, {memory_mb!r})"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", begin],
            pass_fds=[theirs.fileno()],
            # Decoders quote what they read; the ledger says what was wrong with a file.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
        )
        theirs.close()  # so that the death of the process closes the pipe

    def ask(self, work: Callable, item: object, seconds: float) -> tuple[Outcome, object, bool]:
        """Outcome and value of one task, and whether the process retires with it."""
        if not self.ready:
            self._answer(START_SECONDS)
            self.ready = True
        try:
            messages.send(self._pipe, messages.pack((work, item)))
        except OSError:
            raise WorkerDied from None
        return self._answer(seconds)

    def _answer(self, seconds: float):
        try:
            self._pipe.settimeout(seconds)
            return messages.unpack(messages.receive(self._pipe))
        except TimeoutError:
            raise WorkerTimeout from None
        except (OSError, EOFError, pickle.UnpicklingError):
            raise WorkerDied from None

    def kill(self) -> None:
        """End the process at once, whatever it is doing; any thread may call this."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """End the process and forget it; for the thread that feeds it."""
        self.kill()
        self._pipe.close()


class WorkerPool:
    """A pool of at most `count` processes, started when first needed; one pool serves a run.

    A task may take `seconds`, counted from its own beginning, and `memory_mb` beyond what an idle
    process has.
    """

    def __init__(self, count: int, seconds: float, memory_mb: int):
        self.count, self.seconds, self.memory_mb = count, seconds, memory_mb
        self._threads = ThreadPoolExecutor(count, "decoding")
        self._idle: SimpleQueue[Process] = SimpleQueue()
        self._all: set[Process] = set()
        self._changing = threading.Lock()  # guards _all and _closed
        self._closed = False

    def map(
        self, work: Callable[[Item], Result], items: Iterable[Item | Future[Item]]
    ) -> Iterator[Result | ScanRejected]:
        """Results in the order of `items`; a ScanRejected in place of a result that failed.

        An item may come as a Future of itself, which is awaited when its turn has come. Any other
        exception of `work` is our bug and is raised.
        """
        waiting: deque[Future] = deque()
        try:
            for item in items:
                waiting.append(self._threads.submit(self._do, work, item))
                # Enough ahead to keep every worker busy, few enough to keep memory flat.
                if len(waiting) > 4 * self.count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _do(
        self, work: Callable[[Item], Result], item: Item | Future[Item]
    ) -> Result | ScanRejected:
        try:
            ready = item.result() if isinstance(item, Future) else item
        except ScanRejected as rejection:
            return rejection
        return self._asked(work, ready)

    def _asked(self, work: Callable[[Item], Result], item: Item) -> Result | ScanRejected:
        for attempt in range(ATTEMPTS):
            process = self._take(work.__module__, fresh=attempt > 0)
            try:
                outcome, value, retiring = process.ask(work, item, self.seconds)
            except (WorkerDied, WorkerTimeout) as failure:
                self._end(process)
                if process.ready and isinstance(failure, WorkerTimeout):
                    return self._timed_out()
                continue
            if retiring:
                self._end(process)
            else:
                self._idle.put(process)
            return self._told(outcome, value)
        if not process.ready:
            raise RuntimeError(
                "A decoding process does not start. Look for the reason with: "
                f"{sys.executable} -c 'import {work.__module__}'"
            )
        return ScanRejected("decoder_crashed", "the decoder crashed on this file, twice")

    def _told(self, outcome: Outcome, value):
        if outcome is Outcome.FAILED:
            raise value
        if outcome is Outcome.DONE:
            return value
        return ScanRejected(
            "too_large",
            f"decoding it takes more than {self.memory_mb} MB of memory; raise "
            "`scan_memory_mb` if this is a real scan",
        )

    def _timed_out(self) -> ScanRejected:
        return ScanRejected(
            "decoder_timeout",
            f"decoding took longer than {self.seconds:g} seconds; raise `scan_seconds` if this "
            "is a real scan",
        )

    def _take(self, module: str, fresh: bool) -> Process:
        """An idle process or a new one, surely a new one when `fresh`; never more than threads."""
        with suppress(Empty):
            process = self._idle.get_nowait()
            if not fresh:
                return process
            self._end(process)  # as likely dead as the one that has just been lost
        with self._changing:
            if self._closed:
                raise RuntimeError("the workers were closed")
            process = Process(module, self.seconds, self.memory_mb)
            self._all.add(process)
        return process

    def _end(self, process: Process) -> None:
        process.end()
        with self._changing:
            self._all.discard(process)

    def close(self) -> None:
        """End the workers; what they have not begun is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._changing:
            self._closed = True
            for process in self._all:
                process.kill()
        self._threads.shutdown()
        while not self._idle.empty():
            self._end(self._idle.get())
