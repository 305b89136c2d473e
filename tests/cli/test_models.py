"""`dental models`, `evaluate` and `promote`, called in this process."""

import re

import pytest
from typer.testing import CliRunner

from pipeline.cli import evaluate, models  # noqa: F401  (they add their commands)
from pipeline.cli.app import commands
from pipeline.errors import ConfigError
from pipeline.store.registry import champion
from tests.builders.stores import small_store
from tests.builders.synthetic_store import SyntheticStore


@pytest.fixture
def made(tmp_path):
    store = small_store(tmp_path).store
    return (
        SyntheticStore(store)
        .add_trunk()
        .add_head("h0", 0.2)
        .promote("h0")
        .add_head("h1", 0.6, made="2026-11-26")
    )


def dental(made, *arguments, status=0):
    done = CliRunner().invoke(commands, [*arguments, "--store", made.store.root])
    if isinstance(done.exception, ConfigError):
        raise done.exception
    assert done.exit_code == status, done.output
    return done.stdout


def test_models_lists_trunks_and_heads_and_compares_two(made):
    output = dental(made, "models")
    assert re.search(r"h0 .*\n.*champion", output)
    assert output.count("champion") == 2
    assert "2026-11-26" in dental(made, "models", "h0", "h1")
    with pytest.raises(ConfigError, match="3 models were named"):
        dental(made, "models", "h0", "h1", "t0")


def test_evaluate_prints_proof_and_tables_or_csv_and_makes_its_page(made):
    output = dental(
        made, "evaluate", "--head", "h1", "--specificity", "0.85", "--prevalence", "0.2"
    )
    for text in ("train and test share 0 patients", "specificity 0.85", "prevalence of 0.2"):
        assert text in output
    assert "evaluation-h1.html" in output
    assert made.store.names("reports") == ["reports/evaluation-h1.html"]
    header, first, *_ = dental(made, "evaluate", "--csv").splitlines()
    assert header.startswith("head,kind,name,measure,value,low,high,baseline")
    assert first.startswith("h0,all,all,auroc,0.")


def test_promote_takes_the_newest_head_and_prints_its_decision(made):
    output = dental(made, "promote")
    assert "Head h1 was promoted: AUROC +" in output
    assert champion(made.store)["head"] == "h1"
    output = dental(made, "promote", "h0", status=1)
    assert "Head h0 was not promoted: AUROC -" in output
    assert champion(made.store)["head"] == "h1"
