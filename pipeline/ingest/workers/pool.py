"""Pool of worker processes for decoding: one that crashes, hangs or leaks loses its own scan only.

Decoders are C code fed with untrusted bytes. concurrent.futures loses the whole pool with one crash
and cannot end a hang. pebble can, but shares one pipe among all workers: a worker killed while it
is idle breaks the pool (tried with 5.2.3). Here every process has its own pipe and its own thread
in the main process, so a failure of a process affects one task.
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
# After a crash the task is retried once in a fresh process: the first may have been killed from
# outside, by the kernel's out-of-memory killer or by hand, which must not lose a scan.
ATTEMPTS = 2
# There are as many workers as cores.
ONE_THREAD = dict.fromkeys(
    ("OPENCV_FOR_THREADS_NUM", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1"
)


class WorkerDied(Exception):
    """A worker process ended before it replied."""


class WorkerTimeout(Exception):
    """A worker process did not reply in time."""


class Process:
    """One worker process and its pipe. It starts in about a second and is reused."""

    def __init__(self, module: str, seconds: float, memory_mb: int):
        self.ready = False
        self._pipe, theirs = socket.socketpair()
        # Not multiprocessing: its children import the main module again, sometimes all of Prefect.
        program = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            "from pipeline.ingest.workers.worker import serve; "
            f"serve({theirs.fileno()}, {module!r}, {seconds!r}, {memory_mb!r})"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            pass_fds=[theirs.fileno()],
            # Decoders quote what they read; the ledger records what was wrong with a file.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
        )
        theirs.close()  # so that the death of the process closes the pipe

    def run(self, work: Callable, item: object, seconds: float) -> tuple[Outcome, object, bool]:
        """Run one task; return outcome, value, and whether the process retires after it."""
        if not self.ready:
            self._reply(START_SECONDS)
            self.ready = True
        try:
            messages.send(self._pipe, messages.pack((work, item)))
        except OSError:
            raise WorkerDied from None
        return self._reply(seconds)

    def _reply(self, seconds: float):
        try:
            self._pipe.settimeout(seconds)
            return messages.unpack(messages.receive(self._pipe))
        except TimeoutError:
            raise WorkerTimeout from None
        except (OSError, EOFError, pickle.UnpicklingError):
            raise WorkerDied from None

    def kill(self) -> None:
        """Kill the process; callable from any thread."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Kill the process and close its pipe; for the thread that owns it."""
        self.kill()
        self._pipe.close()


class WorkerPool:
    """A pool of at most `count` processes, started on demand; one pool serves a run.

    A task may take `seconds` from its start and `memory_mb` more than an idle process.
    """

    def __init__(self, count: int, seconds: float, memory_mb: int):
        self.count, self.seconds, self.memory_mb = count, seconds, memory_mb
        self._threads = ThreadPoolExecutor(count, "decoding")
        self._idle: SimpleQueue[Process] = SimpleQueue()
        self._all: set[Process] = set()
        self._lock = threading.Lock()  # guards _all and _closed
        self._closed = False

    def map(
        self, work: Callable[[Item], Result], items: Iterable[Item | Future[Item]]
    ) -> Iterator[Result | ScanRejected]:
        """Yield results in the order of `items`, a ScanRejected in place of a failed one.

        An item may be a Future, which is awaited in a thread of the pool. Any other exception of
        `work` is our bug and is raised.
        """
        waiting: deque[Future] = deque()
        try:
            for item in items:
                waiting.append(self._threads.submit(self._process, work, item))
                # Enough to keep every worker busy, few enough to keep memory flat.
                if len(waiting) > 4 * self.count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _process(
        self, work: Callable[[Item], Result], item: Item | Future[Item]
    ) -> Result | ScanRejected:
        try:
            ready = item.result() if isinstance(item, Future) else item
        except ScanRejected as rejection:
            return rejection
        return self._with_retry(work, ready)

    def _with_retry(self, work: Callable[[Item], Result], item: Item) -> Result | ScanRejected:
        for attempt in range(ATTEMPTS):
            process = self._take(work.__module__, fresh=attempt > 0)
            try:
                outcome, value, retiring = process.run(work, item, self.seconds)
            except (WorkerDied, WorkerTimeout) as failure:
                self._end(process)
                if process.ready and isinstance(failure, WorkerTimeout):
                    return self._timed_out()
                continue
            if retiring:
                self._end(process)
            else:
                self._idle.put(process)
            return self._result(outcome, value)
        if not process.ready:
            raise RuntimeError(
                "A decoding process does not start. Find the reason with: "
                f"{sys.executable} -c 'import {work.__module__}'"
            )
        return ScanRejected("decoder_crashed", "the decoder crashed on this file twice")

    def _result(self, outcome: Outcome, value):
        if outcome is Outcome.FAILED:
            raise value
        if outcome is Outcome.DONE:
            return value
        return ScanRejected(
            "too_large",
            f"decoding takes more than {self.memory_mb} MB of memory; raise `scan_memory_mb` if "
            "this is a real scan",
        )

    def _timed_out(self) -> ScanRejected:
        return ScanRejected(
            "decoder_timeout",
            f"decoding took longer than {self.seconds:g} seconds; raise `scan_seconds` if this "
            "is a real scan",
        )

    def _take(self, module: str, fresh: bool) -> Process:
        """An idle process or a new one, always a new one when `fresh`; never more than threads."""
        with suppress(Empty):
            process = self._idle.get_nowait()
            if not fresh:
                return process
            self._end(process)  # as likely dead as the one that was just lost
        with self._lock:
            if self._closed:
                raise RuntimeError("the worker pool is closed")
            process = Process(module, self.seconds, self.memory_mb)
            self._all.add(process)
        return process

    def _end(self, process: Process) -> None:
        process.end()
        with self._lock:
            self._all.discard(process)

    def close(self) -> None:
        """End the workers; tasks that have not started are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._closed = True
            for process in self._all:
                process.kill()
        self._threads.shutdown()
        while not self._idle.empty():
            self._end(self._idle.get())
