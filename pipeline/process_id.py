"""Which process wrote a file or holds a lock, and whether it has ended."""

import hashlib
import os
import socket
from functools import cache
from pathlib import Path
from typing import NamedTuple

import psutil

BOOT = Path("/proc/sys/kernel/random/boot_id")
NAMESPACE = Path("/proc/self/ns/pid")


class ProcessId(NamedTuple):
    """A process among all machines and for all time, as the text `machine.pid.started`."""

    machine: str  # 16 hex digits
    pid: int
    started: str  # seconds since 1970; numbers of processes are reused, with another start

    @classmethod
    def this(cls) -> "ProcessId":
        """The calling process."""
        return cls(machine_id(), os.getpid(), process_start(os.getpid()))

    @classmethod
    def parse(cls, text: str) -> "ProcessId":
        """The process that `text` begins with; of no machine when it names none."""
        machine, pid, started, *_ = [*text.split("."), "", "", ""]
        return cls(machine, int(pid), started) if pid.isdigit() else cls("", 0, "")

    @property
    def is_local(self) -> bool:
        """Whether this machine can know if the process runs."""
        return self.machine == machine_id()

    @property
    def has_ended(self) -> bool:
        """Whether it has ended for certain; never so of another machine or container."""
        return self.is_local and process_start(self.pid) != self.started

    def __str__(self) -> str:
        return f"{self.machine}.{self.pid}.{self.started}"


def process_start(pid: int) -> str:
    """When process `pid` started, as a text that only compares; "gone" when there is none."""
    try:
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.NoSuchProcess:
        return "gone"


@cache
def machine_id() -> str:
    """A digest that differs between machines, boots and containers with own process numbers."""
    boot = BOOT.read_text(encoding="utf-8") if BOOT.exists() else str(psutil.boot_time())
    namespace = os.readlink(NAMESPACE) if NAMESPACE.exists() else ""
    return hashlib.sha256(f"{socket.gethostname()} {boot} {namespace}".encode()).hexdigest()[:16]
