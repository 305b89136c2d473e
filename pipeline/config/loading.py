"""Load the settings; refuse unknown keys and variables with the nearest known name."""

import os
import tomllib
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, ValidationError

from pipeline.config.setting_groups import GROUPS
from pipeline.config.settings import PREFIX, Settings, settings_file
from pipeline.errors import ConfigError
from pipeline.removed_settings import REMOVED, variable_of

# Not settings: the path of the settings file, and the folder in which tests find real scans.
OTHER_VARIABLES = {"DENTAL_CONFIG", "DENTAL_TEST_DATA"}


def load(**changes) -> Settings:
    """Read the settings. An unknown key is an error, not a silent default."""
    file = settings_file()
    if "DENTAL_CONFIG" in os.environ and not file.is_file():
        raise ConfigError(f"DENTAL_CONFIG names {file}, which is no file; correct or unset it.")
    refuse_unknown_variables()
    try:
        return Settings(**changes)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.") from None
    except ValidationError as invalid:
        raise ConfigError(
            "\n".join(format_validation_error(error, file) for error in invalid.errors())
        ) from None
    except ValueError as error:  # a DENTAL_… variable that holds no valid JSON
        raise ConfigError(f"{error}; correct the {PREFIX}… variable.") from None


def format_validation_error(error: dict, file: Path) -> str:
    """One line for one invalid setting: what came, what was expected, what to do."""
    *path, name = [str(step) for step in error["loc"]]
    key, variable = ".".join([*path, name]), f"{PREFIX}{'__'.join([*path, name]).upper()}"
    if error["type"] != "extra_forbidden":
        message = error["msg"].removeprefix("Value error, ")
        return (
            f"Setting `{key}` is {error['input']!r}: {message[:1].lower()}{message[1:]}. "
            f"Correct it in {file} or in {variable}."
        )
    group: type[BaseModel] = Settings
    for step in path:
        if not step.isdigit():
            group = GROUPS[step]
    where = variable if variable in os.environ else file
    return f"{where}: unknown setting `{key}`. {nearest(name, list(group.model_fields))}"


def refuse_unknown_variables() -> None:
    """A misspelt DENTAL_… variable would silently change nothing, so it is an error."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | OTHER_VARIABLES
    removed = {variable_of(key, PREFIX) for key in REMOVED}
    for variable in {name for name in os.environ if name.startswith(PREFIX)} - removed:
        if variable.split("__")[0] not in known:
            raise ConfigError(f"Unknown variable `{variable}`. {nearest(variable, sorted(known))}")


def nearest(name: str, known: list[str]) -> str:
    """Suggest the known name closest to `name`, or list all known names."""
    near = get_close_matches(name, known, n=1)
    return f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(known)}."
