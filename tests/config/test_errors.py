"""What is said of an error."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException

from seedspread.config.errors import InputError
from seedspread.config.explain import explain_error
from tests.conftest import CONF


def test_an_input_error_is_found_under_what_hydra_wraps_around_it():
    wrapped = RuntimeError("Error in call to target")
    wrapped.__cause__ = InputError("model.width=0: too narrow")
    assert explain_error(wrapped) == "model.width=0: too narrow"


@pytest.mark.parametrize(
    "override, says",
    [
        ("seeds=[1]", "seeds: name seeds with seed=; several are 'seed=range(0,20)', to train with -m"),
        ("seeds_per_job=50", "seeds_per_job: say executor=slurm executor.seeds_per_job="),
        ("executor.partition=gpu", "executor.partition: a setting of executor=slurm"),
        ("executor.gpus=1", "executor.gpus: a setting of executor=ray and executor=slurm"),
        (
            "data.workers=2",
            "data.workers: there is no such key here; another choice of data=, or another command, has it",
        ),
        ("module.lr=0.1", "module.lr: a setting of module._target_ is typed with a +, as in +module.lr="),
        ("executor.gpu=1", "Could not override 'executor.gpu': there is no such key; did you mean executor.gpus?"),
        (
            "hydra.launcher.ray.init.address=host:6379",
            "hydra.launcher.ray.init.address: executors have settings of their own; "
            "type for example executor=ray executor.address=auto executor.gpus=1",
        ),
    ],
)
def test_a_key_of_another_executor_or_of_hydras_launchers_is_answered_with_what_to_type(override, says):
    with initialize_config_dir(CONF, version_base="1.3"), pytest.raises(ConfigCompositionException) as raised:
        compose("train", ["experiment=digits", override], return_hydra_config=True)
    assert explain_error(raised.value) == says
