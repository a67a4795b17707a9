"""What users type and see."""

import signal
import subprocess
import sys

import pytest

from seedspread.commands import cli
from seedspread.commands.cli import main
from seedspread.records.study import Study
from tests.conftest import ROOT

QUICK = ("experiment=digits", "trainer.max_epochs=1")


def test_one_seed_then_the_same_again(command):
    code, out, _ = command("seed=3", *QUICK)
    assert code == 0 and out.startswith("seed    3")
    code, out, _ = command("seed=3", *QUICK)
    assert code == 0 and "recorded before" in out


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["experiment=nothing"], "experiment=nothing: there is no such choice; choose one of cifar_finetune"),
        ([*QUICK, "modle.width=3"], "Could not override 'modle.width'"),
        ([*QUICK, "model.widht=3"], "Could not override 'model.widht'"),
        ([*QUICK, "epochs=3"], "did you mean trainer.max_epochs?"),
        ([*QUICK, "+epochs=3"], "+epochs=3: nothing takes this key; did you mean trainer.max_epochs?"),
        (
            ["-m", *QUICK, "seed=0,1", "+epochs=3"],
            "+epochs=3: nothing takes this key; did you mean trainer.max_epochs?",
        ),
        ([*QUICK, "+batch_size=3"], "+batch_size=3: nothing takes this key; did you mean data.batch_size?"),
        ([*QUICK, "seed=-1"], "seed=-1: a seed is a whole number"),
        ([*QUICK, "seed=0.5"], "seed=0.5: a seed is a whole number"),
        ([*QUICK, "seed=range(0,3)"], "requires --multirun"),
        (["-m", *QUICK, "seed=range(5,0)"], "seed=range(5,0): no seeds"),
        (["-m", *QUICK, "seed=range(-1,3)"], "seed=-1: a seed is a whole number"),
        (["-m", *QUICK, "seed=range(0,2,0.5)"], "seed=0.0: a seed is a whole number"),
        (["-m", *QUICK, "seed=0,x"], "seed=x: a seed is a whole number"),
        ([*QUICK, "data.batch_size=5000"], "data.batch_size=5000: digits has 1297 pictures to train on"),
        ([*QUICK, "data.train_size=5"], "data.train_size=5: a balanced subset needs a multiple"),
        ([*QUICK, "model.width=0"], "model.width=0: a whole number of at least 1"),
        ([*QUICK, "study=a/b"], "study=a/b: a study is the name of one folder"),
        ([*QUICK, "memory_format=nhwc"], "memory_format=nhwc: choose one of auto, channels_last, contiguous"),
        ([*QUICK, "results=/proc/nowhere"], "cannot write to /proc/nowhere/digits"),
        (["experiment=cifar_quick", "data.source=/nowhere.tar"], "data.source=/nowhere.tar: no such file"),
        ([*QUICK, "model._target_=src.models.nothing"], "nothing"),
        ([*QUICK, "+model.num_classes=3"], "num_classes"),
        ([*QUICK, "data.channels=3"], "data.channels=3"),
        ([*QUICK, "data.classes=3"], "data.classes=3: digits has 10 classes"),
        ([*QUICK, "trainer.precision=7"], "trainer.precision=7: choose one of auto, 32-true"),
        ([*QUICK, "trainer.max_epochs=2.5"], "trainer.max_epochs=2.5: a whole number of at least 1"),
        ([*QUICK, "loss.smoothing=2"], "loss.smoothing=2: a number from 0 to 1"),
        (
            [*QUICK, "trainer.max_epochs=null"],
            "trainer.max_epochs=null: say how long, for example trainer.max_steps=5000",
        ),
        ([*QUICK, "metric.name=foo"], "metric.name=foo: the module does not log it; it logs train/loss, train/acc"),
        ([*QUICK, "study='a\nb'"], "a study is the name of one folder"),
        ([*QUICK, "data.source=mine"], "data.source=mine: the digits come with scikit-learn; leave it out"),
        ([*QUICK, "model._target_=nope.Net"], "model._target_=nope.Net: cannot be imported"),
        (
            [*QUICK, "model._target_=torchvision.models.resnet18", "model.width=16"],
            "model.width=16: torchvision.models.resnet18 does not take it",
        ),
        (
            [*QUICK, "+trainer.max_epoch=2"],
            "trainer.max_epoch=2: not a setting of lightning.Trainer; did you mean trainer.max_epochs",
        ),
        ([*QUICK, "study=.."], "study=..: a study is the name of one folder"),
        ([*QUICK, "model.classes=3"], "model.classes=3: digits has 10 classes"),
        ([*QUICK, "data.size=16"], "data.size=16: the digits are 8x8"),
        ([*QUICK, "study=a b=c"], "= needs quotes within those of the shell: \"study='a b=c'\""),
        ([*QUICK, "study=a[1]"], "study=a[1]: Hydra cannot read it; [ needs quotes within those of the shell:"),
        ([*QUICK, "study='a"], "Values with spaces, commas or = need quotes of their own within those of the shell"),
        ([*QUICK, "größe=3"], "größe=3: größe is no key; --help lists them"),
        ([*QUICK, "overwrite=no"], "overwrite=no: true or false"),
        ([*QUICK, "checkpoint.keep=maybe"], "checkpoint.keep=maybe: true or false"),
        ([*QUICK, "optimizer.lr=abc"], "optimizer.lr=abc: a number"),
        (["-m", *QUICK, "seed=0,1", "optimizer.lr=-1"], "optimizer.lr=-1: a number"),
        (["-m", *QUICK, "seed=0,1", "jobs=1", "optimizer.weight_decay=-1"], "Invalid weight_decay value: -1"),
        (
            [*QUICK, "optimizer._target_=torch.optim.AdamW"],
            "optimizer._target_=torch.optim.AdamW: it does not take momentum, nesterov",
        ),
        ([*QUICK, "compile=true"], "compile=true: arguments of torch.compile"),
        ([*QUICK, "data.train_size=abc"], "data.train_size=abc: a whole number of at least 1, or null"),
        ([*QUICK, "+trainer.limit_val_batches=0"], "trainer.limit_val_batches=0: a seed is recorded only when"),
        (["-m", *QUICK, "seed=range(0,5,0)"], "seed=range(0,5,0)"),
        (["-m", *QUICK, "seed=0,1", "ckpt_path=README.md"], "a checkpoint belongs to one seed"),
    ],
)
def test_bad_input_gets_one_or_two_lines_and_a_non_zero_exit(command, arguments, says, tmp_path):
    code, _, err = command(*arguments)
    assert code == 1
    assert says in err and err.startswith("error: ")
    assert 1 <= len(err.strip().splitlines()) <= 2 and "Traceback" not in err
    assert not list(tmp_path.glob("results/*")), "a study that never began leaves no folder"


def test_a_traceback_is_shown_when_asked_for(start):
    for setting, expected in (("0", False), ("1", True)):
        told = start("src.train", "seed=-1", "experiment=digits", env={"HYDRA_FULL_ERROR": setting, "PATH": ""})
        _, err = told.communicate(timeout=120)
        assert told.returncode == 1 and "seed=-1" in err and ("Traceback" in err) == expected


@pytest.mark.parametrize("name", ["reproduce", "sources", "report", "luck", "compare", "status", "batch_size", "tune"])
def test_a_command_that_is_a_process_of_its_own_tells_a_wrong_key(name, start):
    told = start("seedspread", name, "stduy=x")
    _, err = told.communicate(timeout=120)
    assert told.returncode == 1 and "Could not override 'stduy'" in err and len(err.strip().splitlines()) <= 2


def test_an_experiment_without_its_first_line_is_told_of_it(start, tmp_path):
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text("model:\n  width: 4\n")
    process = start("seedspread", "train", "experiment=mine", "trainer=cpu", cwd=tmp_path)
    _, err = process.communicate()
    assert process.returncode == 1
    says = "error: experiment.model={'width': 4}: nothing takes this key; the file of an experiment begins with "
    assert err == says + "the line # @package _global_\n"


def test_configs_and_modules_of_the_working_directory_are_found(invoked, tmp_path, monkeypatch, cache):
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /data: digits\nstudy: mine\nmodel:\n  width: 4\n"
        "callbacks:\n  own:\n    _target_: my_callbacks.Own\ntrainer:\n  max_epochs: 1\n"
    )
    (tmp_path / "my_callbacks.py").write_text("import lightning as L\n\n\nclass Own(L.Callback):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    code, out, err = invoked(main, "train", "experiment=mine", "trainer=cpu", f"data.cache={cache}", "seed=1")
    assert code == 0 and out.startswith("seed    1"), err
    assert Study.load(tmp_path / "results" / "mine").config["model"]["width"] == 4
    assert "mine" in invoked(main, "train", "--help")[1]


def test_multirun_may_stand_after_an_override(invoked, tmp_path, cache):
    code, out, err = invoked(
        main, "train", "experiment=digits", "-m", "seed=0,1", "trainer.max_epochs=1", "trainer=cpu", "report=false",
        f"data.cache={cache}", f"results={tmp_path}", "jobs=1",
    )  # fmt: skip
    assert code == 0 and out.startswith("digits: 2 seeds to train, 1 at once\n"), out + err


def test_letters_outside_of_ascii_need_no_quotes(invoked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "größe.csv").write_text("score\n1\n2\n3\n")
    (tmp_path / "日本.csv").write_text("score\n1\n2\n4\n")
    code, out, err = invoked(main, "compare", "baseline=größe.csv", "candidate=日本.csv")
    assert code == 0 and "page in results/日本-against-größe/index.html" in out, err
    for typed in (["results=Ergebnisse für mich"], ["-m", "seed=0,1", "results=Bücher", "jobs=1"]):
        code, out, err = invoked(main, "train", *typed, "experiment=digits", "study=größe", "data.source=Bilder/über")
        assert code == 1 and "data.source=Bilder/über: the digits come with scikit-learn" in err, err


@pytest.mark.parametrize(
    "typed, instead",
    [
        (["compare", "nn", "nn2"], "compare baseline=nn candidate=nn2"),
        (["compare", "a[1]", "candidate=x.csv"], "compare \"baseline='a[1]'\""),
        (["report", "-m", "größe"], "report \"study='größe'\""),
        (["train", "--config-dir", "conf", "digits"], "train experiment=digits"),
    ],
)
def test_a_value_without_its_key_is_answered_with_the_key(invoked, monkeypatch, typed, instead):
    monkeypatch.setattr(sys, "path", list(sys.path))
    word = typed[1] if typed[1][0] != "-" else typed[-1]
    code, _, err = invoked(main, *typed)
    assert code == 1 and err == f"error: {word}: name its key, for example seedspread {instead}"


def test_what_follows_two_dashes_is_refused_by_commands_that_run_no_program(invoked):
    code, _, err = invoked(main, "report", "study=digits", "--", "ls")
    assert code == 1 and "--: what follows it is a program of yours" in err


def test_values_are_refused_before_torch_is_imported():
    expected = {
        "trainer.max_epochs=0": "trainer.max_epochs=0: a whole number of at least 1",
        "stack=-1": "stack=-1: a whole number of at least 1, or auto",
        "threads=0": "threads=0: a whole number from 1 to 1,024",
        "threads=100000": "threads=100000: a whole number from 1 to 1,024",
        "data.size=100000": "data.size=100000: a whole number from 1 to 4,096",
        "+trainer.fast_dev_run=true": "trainer.fast_dev_run=true: a seed is recorded only when",
        "+model.foo=3": "model.foo=3: not a setting of seedspread.models.resnet9.ResNet9; it takes channels",
        "study=${nope}": "study=${nope}: Interpolation key 'nope' not found",
    }
    script = f"""
import sys
from seedspread.commands.train import train
for setting in {list(expected)!r}:
    try:
        train(["experiment=digits", setting])
    except Exception as error:
        print(error)
assert "torch" not in sys.modules
"""
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    for line, says in zip(ran.stdout.splitlines(), expected.values(), strict=True):
        assert line.startswith(says)


def test_what_ctrl_c_breaks_in_a_library_is_told_as_ctrl_c(invoked):
    def compose():
        try:
            raise KeyboardInterrupt
        finally:
            [].pop()  # as OmegaConf, which restores what it has not saved yet

    said = "\ninterrupted: finished seeds are recorded; the same command resumes\n"
    assert invoked(compose) == (130, "", said)


def test_ctrl_c_while_a_command_is_imported_prints_no_traceback(invoked, monkeypatch):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "import_module", interrupted)
    code, _, err = invoked(main, "report")
    assert code == 130 and err.startswith("\ninterrupted")


def test_a_reader_that_has_enough_is_no_error():
    """As `seedspread report --help | head -1` closes the pipe."""
    process = subprocess.Popen(
        [sys.executable, "-m", "seedspread", "report", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 128 + signal.SIGPIPE
