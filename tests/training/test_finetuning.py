"""A seed of experiment=cifar_finetune, with a tiny backbone: resumed, head first, and named weights."""

from dataclasses import replace

import pytest
import timm
import torch
from hydra import initialize_config_dir

from seedspread.commands.train import train
from seedspread.config.errors import InputError
from seedspread.records.study import Study, study_folder
from seedspread.training import run as training_run
from seedspread.training.reproduction import recorded_config
from tests.conftest import CONF
from tests.training.test_resume import EVERY_STEP, Interruption, same

STEPS = 4  # an epoch: 36 pictures in batches of 8


@pytest.fixture
def finetune(config, probe_cache, checkpoint):
    """`experiment=cifar_finetune` with a tiny backbone on 36 and 12 pictures, three epochs, the first of the head."""
    fixed = [
        "experiment=cifar_finetune", "trainer=cpu", "trainer.max_epochs=3", "seed=3",
        "data.read._target_=seedspread.data.class_folders.read_class_folders", f"data.source={probe_cache}/in",
        f"data.cache={probe_cache}/cache", "data.size=16", "data.train_size=null", "data.test_size=null",
        "data.classes=3", "data.batch_size=8", "backbone.name=test_resnet", f"backbone.checkpoint={checkpoint}",
        "backbone.size=32", "backbone.resize=32",
    ]  # fmt: skip
    return lambda *overrides: config(*fixed, *overrides)


@pytest.mark.parametrize("at", [(1,), (STEPS - 1,), (STEPS,), (STEPS + 1,), (2 * STEPS + 1,), (2, STEPS, STEPS + 2)])
def test_interrupted_around_the_first_epoch_of_all_layers_the_bits_are_the_same(finetune, monkeypatch, at):
    whole = train(finetune("study=whole"))
    fit = training_run.fit
    for step in at:
        with monkeypatch.context() as patch:
            patch.setattr(
                training_run, "fit", lambda c, m, d, cb, *rest, s=step: fit(c, m, d, [*cb, Interruption(s)], *rest)
            )
            with pytest.raises(RuntimeError, match="interrupted"):
                train(finetune("study=parts", EVERY_STEP))
    record = train(finetune("study=parts"))
    assert same(record, whole) and record.resumed_from


def test_the_first_epochs_train_the_head_alone(finetune):
    """As long as the head alone trains, all seeds share the backbone of the file, batch-norm statistics included."""
    backbones = []
    for epochs in (1, 2):
        cfg = finetune(f"trainer.max_epochs={epochs}", f"study=e{epochs}", "checkpoint.keep=true")
        train(cfg)
        kept = study_folder(cfg.results, cfg.study) / "checkpoints" / "000003.final.ckpt"
        backbones.append({k: v for k, v in torch.load(kept)["state_dict"].items() if ".backbone." in k})
    weights = torch.load(finetune().backbone.checkpoint)
    first, second = ({k.removeprefix("model.backbone."): v for k, v in found.items()} for found in backbones)
    assert first and all(torch.equal(value, weights[name]) for name, value in first.items())
    parameters = [name for name in first if name.endswith("weight")]
    assert parameters and not any(torch.equal(second[name], first[name]) for name in parameters)


def test_a_record_names_its_weights_and_other_weights_are_another_study(finetune, tmp_path):
    cfg = finetune("trainer.max_epochs=1")
    record = train(cfg)
    study = Study.load(study_folder(cfg.results, cfg.study))
    assert record.pretrained["name"] == "test_resnet" and len(record.pretrained["weights_sha256"]) == 64
    assert record.pictures_sha256 == record.data_sha256
    command = "python -m src.train seed=3 experiment=cifar_finetune backbone.checkpoint=/gone.pth"
    with (
        initialize_config_dir(CONF, version_base="1.3"),
        pytest.raises(InputError, match=r"/gone\.pth: no such file.*with="),
    ):
        recorded_config(study, replace(record, command=command))
    torch.manual_seed(1)
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "other.pth")
    other = finetune("trainer.max_epochs=1", "seed=4", f"backbone.checkpoint={tmp_path}/other.pth")
    with pytest.raises(InputError, match=r"other pretrained weights .*\n.*backbone.checkpoint"):
        train(other)
    assert list(study.scan().records) == [3]
