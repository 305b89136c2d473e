"""The environment of a run: Prefect's variables and home, proxies, and Keras's backend.

Set it before Prefect is imported, which reads the variables once; child processes inherit it.
"""

import os
import urllib.parse
import urllib.request
from importlib.util import find_spec
from pathlib import Path

from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.model.keras_environment import require_backend
from pipeline.paths import expand_path
from pipeline.progress import log

URL = "PREFECT_API_URL"  # the address of a server; one that is set already is kept
HOME = "PREFECT_HOME"  # kept too: SQLite needs a local disk, and the private folder may be on NFS
DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
DATABASE_FILE = "prefect.db"  # in Prefect's home
# A profile of another home is not there, and would bring a server or database of its own.
PROFILES = ("PREFECT_PROFILE", "PREFECT_PROFILES_PATH")
# About servers and their databases, passwords and ports. They are for a server of your own.
OF_SERVERS = ("PREFECT_API_", "PREFECT_SERVER_")
DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
}
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def set_environment(settings: Settings) -> None:
    """Set the variables that Prefect, its clients and Keras read.

    Logs which of yours are not used. Raises ConfigError for a backend of Keras that cannot be used
    and for a home of Prefect that cannot be found.
    """
    require_backend()
    bypass_proxies()
    home = os.environ.get(HOME) or str(settings.private_folder.absolute() / "prefect")
    try:
        home = str(Path(expand_path(home)).absolute())
    except ValueError as problem:
        raise ConfigError(f"{HOME} is {home!r}: {problem}.") from None
    ours = {DATABASE: database_url(home)}
    drop_variables(ours)
    os.environ |= {HOME: home, **ours}
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def drop_variables(ours: dict[str, str]) -> None:
    """Drop the variables of Prefect that would keep a run from its own server and database."""
    prefixes = () if os.environ.get(URL) else OF_SERVERS
    dropped = [
        name
        for name, value in sorted(os.environ.items())
        if (name in PROFILES or name.startswith(prefixes))
        and name not in DEFAULTS
        and ours.get(name) != value
    ]
    for name in dropped:
        del os.environ[name]
    if used := [name for name in dropped if name != URL]:
        log.warning(
            "Set and not used: %s. Runs are recorded in the private folder of the store. To use a "
            "server of your own, set %s; else unset what is named.",
            ", ".join(used),
            URL,
        )


def database_url(home: str) -> str:
    """The address of Prefect's database in its home, whatever characters the path contains.

    Prefect pastes the path into an address: the first `?` would end it, and the database would lie
    outside of the private folder.
    """
    return f"sqlite+aiosqlite:///{Path(home, DATABASE_FILE).as_uri()}?uri=true"


def bypass_proxies() -> None:
    """Keep requests to this machine from proxies, in this process and its children."""
    # urllib prefers lower case, other programs upper case.
    named = [os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY")]
    hosts = [host.strip() for names in named for host in names.split(",")]
    hosts = list(dict.fromkeys([*filter(None, hosts), *LOOPBACK]))
    value = "*" if "*" in hosts else ",".join(hosts)
    os.environ |= {"no_proxy": value, "NO_PROXY": value}
    # httpx opens every proxy that is named, also one that it never needs, and fails at others.
    supported = {"http", "https", *(("socks5", "socks5h") if find_spec("socksio") else ())}
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        scheme = urllib.parse.urlsplit(os.environ[name]).scheme
        if name.lower() in ("all_proxy", "http_proxy", "https_proxy") and (
            "://" in os.environ[name] and scheme not in supported
        ):
            del os.environ[name]
