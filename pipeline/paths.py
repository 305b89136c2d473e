"""`~` and `$VAR` in the paths that people write: in settings, on the command line, for `make`.

A shell expands them only where it sees them, so not in a file, in quotes, or after `--store=`.
"""

import os
import re

VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})")


def expand_path(path: str) -> str:
    """Expand a leading `~` or `~user`, and every `$VAR` and `${VAR}`, also in an s3:// address.

    A file whose name has a `$` or a leading `~` is found as it is written. Raises ValueError for a
    variable that is not set or empty, and for a user without a home directory.
    """
    home, slash, rest = path.partition("/")
    if home.startswith("~"):
        found = os.path.expanduser(home)
        if found == home:
            return _as_written(path, f"there is no home directory {home}")
        return found + slash + _with_variables(rest, path) if slash else found
    return _with_variables(path, path)


def _with_variables(text: str, path: str) -> str:
    names = [first or second for first, second in VARIABLE.findall(text)]
    if missing := [name for name in names if not os.environ.get(name)]:
        return _as_written(path, f"the variable {missing[0]} is not set")
    return VARIABLE.sub(lambda found: os.environ[found[1] or found[2]], text)


def _as_written(path: str, problem: str) -> str:
    if os.path.lexists(path):
        return path
    raise ValueError(f"{problem}; set it, or write the whole path")
