import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hypothesis import settings
from matplotlib.figure import Figure
from omegaconf import DictConfig
from PIL import Image

from seedspread.commands.console import run_command
from seedspread.commands.train import main
from seedspread.data import extractor, features
from seedspread.records.metric import ACCURACY
from seedspread.records.study import Study
from seedspread.training import worker  # noqa: F401 - imported before the server is forked
from tests import synthetic
from tests.data.pictures import files, folder
from tests.processes import Command, fork_server

fork_server()

settings.register_profile("any machine", deadline=None)  # a busy disk is no failure
settings.load_profile("any machine")


def pytest_xdist_auto_num_workers() -> int:
    """Three for two cores: a third of the time tests wait for the processes that they start."""
    return max(2, (os.cpu_count() or 1) * 3 // 2)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write this machine's hashes to tests/golden")


ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"
CONF = str(ROOT / "conf")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


def _save_blank(figure: Figure, path: Path, **_: object) -> None:
    if path.suffix == ".png":
        Image.new("L", (1, 1)).save(path)
    else:
        path.write_text("<svg/>")


@pytest.fixture(autouse=True)
def _without_ink(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are built, but rendered only in tests marked `draws`: rendering is nine tenths of a report's time."""
    if "draws" not in request.keywords:
        monkeypatch.setattr(Figure, "savefig", _save_blank)


@pytest.fixture(autouse=True)
def _without_command_line() -> Iterator[None]:
    """Hydra keeps the command line of the last command that ran in a process: the next test is not to find it."""
    yield
    HydraConfig.instance().cfg = None


@pytest.fixture(scope="session")
def cache() -> str:
    """One cache of decoded pictures for all tests and workers, in the ignored data folder."""
    return str(ROOT / "data")


@pytest.fixture
def config(tmp_path: Path, cache: str) -> Callable[..., DictConfig]:
    """Compose the real config with overrides, results in tmp_path."""

    def composed(*overrides: str) -> DictConfig:
        with initialize_config_dir(CONF, version_base="1.3"):
            return compose("train", [f"results={tmp_path}/results", f"data.cache={cache}", *overrides])

    return composed


@pytest.fixture
def small(config: Callable[..., DictConfig]) -> Callable[..., DictConfig]:
    """`experiment=digits`, two epochs: half a second a seed."""
    return lambda *overrides: config("experiment=digits", "trainer=cpu", "trainer.max_epochs=2", *overrides)


Ran = Callable[..., tuple[int, str, str]]


@pytest.fixture
def invoked(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ran:
    """Run a command within this process, given its main and its arguments: exit code, standard output and error."""

    def ran(main: Callable[[], object], *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        monkeypatch.setenv("HYDRA_FULL_ERROR", os.environ.get("HYDRA_FULL_ERROR", ""))
        code: int | str | None = 0
        try:
            run_command(main)
        except SystemExit as exit_:
            code = exit_.code
        out, err = capfd.readouterr()
        if isinstance(code, str):  # what Python prints when it leaves
            code, err = 1, err + code
        return code or 0, out, err

    return ran


@pytest.fixture
def command(invoked: Ran, tmp_path: Path, cache: str) -> Ran:
    """Run `python -m src.train ARGUMENTS`."""

    def ran(*arguments: str) -> tuple[int, str, str]:
        fixed = ["trainer=cpu"]
        for key, value in (("results", f"{tmp_path}/results"), ("data.cache", cache)):
            if not any(argument.startswith(f"{key}=") for argument in arguments):
                fixed.append(f"{key}={value}")
        if "-m" in arguments and not any(argument.startswith("report=") for argument in arguments):
            fixed.append("report=false")  # it takes seconds
        return invoked(main, *arguments, *fixed)

    return ran


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Command]:
    """Start `python -m MODULE ARGUMENTS` as a process of its own."""
    folder = tmp_path_factory.mktemp("commands")
    return lambda module, *arguments, **more: Command(folder, module, *arguments, **more)


@pytest.fixture(scope="session")
def cifar_pictures() -> str:
    path = SHARED / "cifar10-images.tar.xz"
    if not path.exists():
        pytest.skip(f"real CIFAR-10 pictures are not at {path}")
    return str(path)


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Study]:
    """Make a study of these accuracies (fractions), seeds 0, 1, 2, ..."""

    def make(accuracies, name="dots", config=synthetic.CONFIG, metric=ACCURACY):
        study = Study.open(tmp_path / "results" / name, config, metric=metric)
        for seed, accuracy in enumerate(accuracies):
            synthetic.add_seed(study, seed, accuracy)
        return study

    return make


@pytest.fixture
def study(make_study: Callable[..., Study]) -> Study:
    """24 seeds of 80 ± 2 %, named dots."""
    return make_study(np.random.default_rng(1).normal(0.8, 0.02, 24))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Weights of a tiny backbone."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "resnet.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    return str(path)


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks so small only lose by a second thread, most of all beside other tests."""
    for module in (extractor, features):
        monkeypatch.setattr(module, "count_cores", lambda: 1)


@pytest.fixture(scope="session")
def probe_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of two shades in three classes, and one cache of their features for all tests."""
    there = tmp_path_factory.mktemp("probe")
    folder(there / "in", files(train=12, test=4, classes="abc"))
    return there


@pytest.fixture
def probe(
    config: Callable[..., DictConfig], probe_cache: Path, checkpoint: str, one_core: None
) -> Callable[..., DictConfig]:
    """`experiment=cifar_probe` with a tiny backbone on 36 and 12 pictures, three epochs."""
    fixed = [
        "experiment=cifar_probe", "trainer=cpu", "trainer.max_epochs=3",
        "data.read._target_=seedspread.data.class_folders.read_class_folders", f"data.source={probe_cache}/in",
        f"data.cache={probe_cache}/cache", "data.size=16", "data.train_size=null", "data.test_size=null",
        "data.views=2", "data.batch_size=8", "backbone.name=test_resnet", f"backbone.checkpoint={checkpoint}",
        "backbone.size=32", "backbone.resize=32",
    ]  # fmt: skip
    return lambda *overrides: config(*fixed, *overrides)
