"""A real Prefect server and a real schedule that fires: an import alone finds none of the traps."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from pipeline import config
from pipeline.errors import ConfigError, PipelineError
from pipeline.report.night_record import last_night
from tests.builders.browser import chromium, chromium_path
from tests.builders.scans import write_files
from tests.builders.stores import small_store

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds; it takes 15 to 30


@contextlib.contextmanager
def running(*command, **variables):
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,  # errors go where pytest gathers them
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def soon(holds, process=None):
    """Wait until it holds; with a process, as long as that lives."""
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None
        time.sleep(0.1)
    return found


def servers_of(pid):
    return [
        child
        for child in psutil.Process(pid).children(recursive=True)
        if "flows.prefect_server" in child.cmdline()
    ]


def test_a_scheduled_run_fires_and_a_killed_server_leaves_no_process(tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    small = small_store(tmp_path)
    write_files(tmp_path / "inbox" / "2026-11-01", a_png=b"broken")
    arguments = ("-m", "pipeline.cli", "serve", "--store", small.settings.store, "--every", 3)
    often = {"PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    with running(*arguments, DENTAL_INBOX=str(tmp_path / "inbox"), **often) as serving:
        night = soon(lambda: last_night(small.store), serving)
        assert night.failures == []
        assert night.batches["2026-11-01"].counts["rejected"] == 1
        from flows import prefect_server

        address = prefect_server.running_server(small)
        assert address.startswith("http://127.0.0.1:")
        see_prefects_pages(address)
        with (
            pytest.raises(PipelineError, match="is served already"),
            prefect_server.run_server(small),
        ):
            pass
        started = [*servers_of(serving.pid), *psutil.Process(serving.pid).children()]
        assert len(started) >= 2
        serving.send_signal(signal.SIGKILL)
        # A night that is going on may still write what it has; the server ends by itself.
        soon(lambda: not any(alive(each) for each in started))
    assert prefect_server.running_server(small) is None


def ask(address, body=None):
    """The answer of Prefect's server, as JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    # Never by a proxy, which would not find this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=PATIENCE) as answer:
        return json.load(answer)


def see_prefects_pages(address):
    """The pages ask their own server, and show name, tags, artifact and log of the night."""
    home = address.removesuffix("/api")
    assert ask(f"{home}/ui-settings")["api_url"] == address
    [artifact, *_] = soon(lambda: ask(f"{address}/artifacts/filter", {}))
    assert artifact["key"] == "nightly"
    assert "2026-11-01  new: 0 accepted, 0 duplicate, 1 rejected" in artifact["data"]
    run = ask(f"{address}/flow_runs/{artifact['flow_run_id']}")
    assert run["name"].startswith("nightly 20")
    assert "store:store" in run["tags"]
    of_run = {"logs": {"flow_run_id": {"any_": [run["id"]]}}}
    messages = soon(lambda: [line["message"] for line in ask(f"{address}/logs/filter", of_run)])
    assert any("1 rejected" in message for message in messages)
    if chromium_path() is None:
        return
    with chromium() as browser:
        page, asked = browser.new_page(), []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{home}/runs")
        page.get_by_text(run["name"]).first.wait_for(timeout=1000 * PATIENCE)
        assert all(url.startswith((home, "data:", "blob:")) for url in asked)


def alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_killed_run_leaves_no_server(tmp_path):
    program = "import time; from flows.prefect_server import start; start({}); time.sleep(600)"
    with running("-c", program, PREFECT_HOME=str(tmp_path)) as run:
        [started] = soon(lambda: servers_of(run.pid))
        run.send_signal(signal.SIGKILL)
        soon(lambda: not alive(started))


def test_an_invalid_schedule_is_refused_with_an_example():
    from flows.serve import schedule_of

    for wrong in ({"schedule": "every night"}, {"timezone": "Europe/Bonn"}):
        with pytest.raises(ConfigError, match="expected a cron line such as"):
            schedule_of(config.load(**wrong), None)
    assert schedule_of(config.load(timezone="Europe/Berlin"), None).cron == "0 1 * * *"
