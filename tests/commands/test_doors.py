"""One task by all doors gives the same scores; other libraries than torch; luck and agreement of a function's seeds."""

import sys

import pytest
from lightning import Trainer
from lightning.pytorch.loggers import CSVLogger

import seedspread as ss
from seedspread.commands import agree, luck
from seedspread.commands.cli import main
from seedspread.config.errors import InputError
from seedspread.records.study import Study
from tests.commands import one_module, one_network
from tests.commands.estimators import forest, perceptron
from tests.conftest import ROOT

SEEDS = range(2)
MODULE = ("module._target_=tests.commands.one_module.Module", "data._target_=tests.commands.one_module.Data")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def curves_of(study):
    return ss.Scores.of(Study.load(f"results/{study}")).curves["val/acc"].tolist()


@pytest.fixture
def by_function():
    """The curves of the task as a function."""
    ss.sweep(one_network.train, SEEDS, study="function", jobs=1, report=False)
    return curves_of("function")


def test_a_lightning_module_and_a_function_give_the_same_scores(command, by_function):
    fixed = (*MODULE, "metric.name=val/acc", f"trainer.max_epochs={one_network.EPOCHS}", "study=module", "jobs=1")
    assert command("-m", "seed=range(0,2)", *fixed)[0] == 0
    assert curves_of("module") == by_function and len({tuple(curve) for curve in by_function}) == len(SEEDS)


@pytest.mark.parametrize(
    "way, keys",
    [("record", ()), ("text", ("regex=epoch (?P<epoch>[0-9]+): accuracy (?P<acc>[0-9.]+)",))],
)
def test_a_program_and_a_function_give_the_same_scores(invoked, by_function, monkeypatch, way, keys):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT}/src")
    program = (sys.executable, "-m", "tests.commands.one_network", "{seed}", way)
    named = "acc" if way == "text" else "val/acc"
    keys = ("seed=range(0,2)", f"study={way}", f"metric.name={named}", "jobs=1", "report=false", *keys)
    code, _, err = invoked(main, "run", *keys, "--", *program)
    assert code == 0, err
    assert ss.Scores.of(Study.load(f"results/{way}")).curves[named].tolist() == by_function


def test_imported_logs_and_a_function_give_the_same_scores(invoked, by_function, tmp_path):
    for seed in SEEDS:
        with ss.seeded(ss.streams(seed).init):
            module = one_module.Module()
        logger = CSVLogger(tmp_path, name="logs", version=seed)
        quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = Trainer(max_epochs=one_network.EPOCHS, accelerator="cpu", logger=logger, **quiet)
        trainer.fit(module, one_module.Data())
    code, out, _ = invoked(main, "import", "logs", "study=imported", "metric.name=val/acc", "report=false")
    assert code == 0 and "2 runs, seed 0-1" in out and curves_of("imported") == by_function


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("train", [forest, perceptron])
def test_luck_and_agreement_of_scikit_learn(train, invoked):
    scores = ss.sweep(train, range(6), jobs=1, report=False)
    assert scores.examples == 500 and len(scores.correct) == 6 and len(set(scores.final)) > 1
    code, out, _ = invoked(luck.main, f"study={train.__name__}")
    assert code == 0 and "500 test examples" in out
    code, out, _ = invoked(agree.main, f"study={train.__name__}")
    assert code == 0 and "of 500 test examples" in out


def test_the_global_generator_of_numpy_makes_a_forest_the_same_in_any_process():
    one = ss.sweep(forest, [3, 1], study="one", jobs=1, report=False)
    two = ss.sweep(forest, [1, 3], study="two", jobs=2, report=False)
    hashes = [[record.predictions_sha256 for record in scores.finished] for scores in (one, two)]
    assert hashes[0] == hashes[1] and hashes[0][0] != hashes[0][1]


@pytest.mark.parametrize("shared, says", [("loss", "both record, for example metric=loss"), ("mae", "share no metric")])
def test_scores_by_different_metrics_are_refused_with_one_that_both_record(shared, says):
    one = ss.sweep(lambda seed: {"rmse": seed, "loss": seed}, range(2), study="one", jobs=1, report=False)
    two = ss.sweep(lambda seed: {"acc": seed / 9, shared: seed}, range(2), study="two", jobs=1, report=False)
    with pytest.raises(InputError, match=says):
        ss.compare(one, two)
