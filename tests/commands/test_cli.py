"""What users type and see."""

import pytest

QUICK = ("experiment=digits", "trainer.max_epochs=1")


def test_one_seed_then_the_same_again(command):
    code, out, _ = command("seed=3", *QUICK)
    assert code == 0 and out.startswith("seed    3")
    code, out, _ = command("seed=3", *QUICK)
    assert code == 0 and "recorded before" in out


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["experiment=nothing"], "experiment=nothing: there is no such choice; choose one of cifar_long"),
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
        ([*QUICK, "trainer.devices=2"], "trainer.devices=2: a seed trains on one device"),
        ([*QUICK, "metric=foo"], "metric=foo: choose one of train/loss"),
        ([*QUICK, "study=.."], "study=..: a study is the name of one folder"),
        ([*QUICK, "model.classes=3"], "model.classes=3: digits has 10 classes"),
        ([*QUICK, "data.size=16"], "data.size=16: the digits are 8x8"),
        ([*QUICK, "study=a b=c"], "study=a b=c: Hydra cannot read it"),
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
        (["-m", *QUICK, "seed=0,1", "ckpt_path=README.md"], "a checkpoint is of one seed"),
    ],
)
def test_bad_input_gets_one_or_two_lines_and_a_non_zero_exit(command, arguments, says, tmp_path):
    code, _, err = command(*arguments)
    assert code == 1
    assert says in err and err.startswith("error: ")
    assert 1 <= len(err.strip().splitlines()) <= 2 and "Traceback" not in err
    assert not list(tmp_path.glob("results/*/seeds/*"))


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
