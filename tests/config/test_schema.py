"""The schema: every key of conf/ is in it, it agrees with the objects it describes, and each kind of check works."""

import inspect
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hydra.utils import get_method
from omegaconf import OmegaConf

from seedspread.commands.cli import COMMANDS
from seedspread.config.check import check_config, known_keys, suggest_key
from seedspread.config.compose import CONF, compose_config
from seedspread.config.errors import InputError
from seedspread.config.help import format_help
from seedspread.config.identity import flatten, restore_config, study_identity
from seedspread.config.schema import (
    IF_SET,
    SCHEMAS,
    Auto,
    LocalExecutor,
    RayExecutor,
    Schema,
    SlurmExecutor,
    Target,
    Train,
    key,
)
from seedspread.config.targets import check_targets

GIVEN_BY_THE_CODE = {  # what no config can hold
    LocalExecutor: {"workers", "preload", "gpus"}, RayExecutor: {"workers", "preload"},
    SlurmExecutor: {"workers", "preload"},
}  # fmt: skip


def described(schema: type = Train) -> set[type]:
    """Every schema of an object below `schema`."""
    groups = {group for found in schema.keys.values() for group in found.groups if group is not Target}
    return groups.union(*(described(group) for group in groups))


@pytest.mark.parametrize(
    "schema", sorted((s for s in described() if s.target), key=str), ids=lambda schema: schema.__name__
)
def test_a_schema_has_the_parameters_of_its_object(schema):
    parameters = set(inspect.signature(get_method(schema.target)).parameters)
    keys = set(schema.keys)
    if schema.open:
        assert keys <= parameters
    else:
        assert keys == parameters - GIVEN_BY_THE_CODE.get(schema, {"streams", "device"})


def test_the_trainers_keys_are_lightnings():
    assert set(Train.keys["trainer"].groups[0].keys) <= set(
        inspect.signature(get_method("lightning.Trainer")).parameters
    )


def test_every_key_of_the_configs_is_in_the_schema_with_a_help_text():
    known = known_keys()
    for path in sorted(Path(CONF).rglob("*.yaml")):
        group = path.parent.relative_to(CONF).as_posix()
        if group in ("experiment", "logger"):
            continue
        settings = yaml.safe_load(path.read_text()) or {}
        for name, _ in flatten({name: settings[name] for name in settings if name not in ("defaults", "hydra")}):
            full = name if group == "." else f"{group}.{name}"
            if not full.endswith(("_target_", "_partial_")):
                assert known[full].help, full
    assert all(found.help for found in known.values())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example_and_its_keys(command):
    text = format_help(command, COMMANDS[command])
    assert COMMANDS[command] in text and ("seedspread " + command in text or "src.train" in text)
    cfg = compose_config(command, [])
    for name in cfg:
        if name in SCHEMAS[command].keys and SCHEMAS[command].keys[name] != Train.keys.get(name):
            assert f"  {name}" in text


class Inner(Schema):
    target = "builtins.dict"
    rate: float = key("a rate", above=0, most=1)


class Example(Schema):
    count: int = key("a count", least=1)
    part: float = key("a part", least=0, below=1)
    flag: bool = key("a flag")
    kind: Literal["one", "two"] = key("a kind")
    jobs: int | Auto = key("jobs", least=1)
    size: int | None = key("a size", least=1)
    means: list[float] = key("means")
    file: str | None = key("a file", file=True)
    inner: Inner | Target = key("an object")
    never: Any = key("", refused="it is never taken")


GOOD = {
    "count": 3, "part": 0.5, "flag": True, "kind": "one", "jobs": "auto", "size": None, "means": [1, 0.5],
    "file": None, "inner": {"_target_": "builtins.dict", "rate": 1},
}  # fmt: skip


@pytest.mark.parametrize(
    "setting, says",
    [
        ({"count": 0}, "count=0: a whole number of at least 1"),
        ({"count": 1.5}, "count=1.5: a whole number of at least 1"),
        ({"count": True}, "count=true: a whole number of at least 1"),
        ({"count": None}, "count=null: a whole number of at least 1"),
        ({"count": "three"}, "count=three: a whole number of at least 1"),
        ({"part": 1.0}, "part=1.0: a number from 0 to below 1"),
        ({"part": float("nan")}, "part=nan: a number from 0 to below 1"),
        ({"flag": "maybe"}, "flag=maybe: true or false"),
        ({"flag": 1}, "flag=1: true or false"),
        ({"kind": "three"}, "kind=three: choose one of one, two"),
        ({"jobs": 0}, "jobs=0: a whole number of at least 1, or auto"),
        ({"size": "big"}, "size=big: a whole number of at least 1, or null"),
        ({"means": ["a"]}, "means=.*: a list of numbers"),
        ({"file": "/nowhere"}, "file=/nowhere: no such file"),
        ({"file": "a" * 300}, "file=a{300}: File name too long"),
        ({"count": "???"}, "count is not set: a count"),
        ({"inner": {"_target_": "builtins.dict", "rate": 0}}, "inner.rate=0: a number"),
        (
            {"inner": {"_target_": "builtins.dict", "rat": 1}},
            "inner.rat=1: not a setting of builtins.dict; did you mean inner.rate",
        ),
        ({"never": 1}, "never=1: it is never taken"),
        ({"cuont": 1}, "cuont=1: nothing takes this key"),
        ({"count": "${nope}"}, r"count=\$\{nope\}: .*nope"),
    ],
)
def test_each_kind_of_check(setting, says):
    check_config(OmegaConf.create(GOOD), Example)
    with pytest.raises(InputError, match=rf"^{says}") as told:
        check_config(OmegaConf.create({**GOOD, **setting}), Example)
    assert len(str(told.value).splitlines()) == 1


def test_a_key_that_another_one_interpolates_is_accepted():
    check_config(OmegaConf.create({**GOOD, "my": {"count": 3}, "count": "${my.count}"}), Example)


def test_other_objects_go_by_their_signature(config):
    check_targets(config("experiment=digits", "+optimizer.maximize=true", "+trainer.accumulate_grad_batches=2"))
    for override, says in (
        ("+trainer.max_epoch=2", "trainer._target_=lightning.Trainer: it does not take max_epoch"),
        ("optimizer._target_=torch.optim.Nothing", r"optimizer._target_=torch.optim.Nothing: cannot be imported \("),
        ("optimizer._target_=torch.optim.AdamW", "optimizer._target_=torch.optim.AdamW: it does not take momentum"),
    ):
        with pytest.raises(InputError, match=says):
            check_targets(config("experiment=digits", override))


def test_the_nearest_key():
    assert suggest_key("modle.width") == "did you mean model.width?"
    assert suggest_key("epochs", Train) == "did you mean trainer.max_epochs?"  # not schedule.epochs, which follows it
    assert suggest_key("xyzzy") == ""


def test_a_study_is_restored_from_its_identity_and_places(config):
    cfg = config("experiment=digits", "trainer=cpu", "compile={mode:default}", "streams.other=3")
    elsewhere = config("experiment=digits", "data.source=/here", "checkpoint.keep=true", "trainer.max_epochs=1")
    restored = OmegaConf.create(restore_config(elsewhere, study_identity(cfg)))
    assert study_identity(restored) == study_identity(cfg)
    assert restored.data.source == "/here" and restored.checkpoint.keep and restored.results == elsewhere.results


def test_places_and_display_are_no_part_of_an_identity():
    outside = {name for name, found in known_keys(Train).items() if found.identity is False}
    assert {"seed", "results", "jobs", "data.source", "backbone.checkpoint"} <= outside
    assert not {"threads", "data.batch_size", "model.width", "optimizer.lr", "trainer.max_epochs"} & outside
    conditional = {name for name, found in known_keys(Train).items() if found.identity == IF_SET}
    assert conditional == {
        "butterfly", "streams.other", "streams.split", "data.validation", "compile", "capture", "module",
        "trainer.gradient_clip_val", "trainer.devices", "trainer.strategy", "trainer.max_steps",
    }  # fmt: skip
    assert all(issubclass(schema, Schema) for schema in SCHEMAS.values())
