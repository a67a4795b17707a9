import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hypothesis import settings
from omegaconf import DictConfig

from seedspread.commands.console import run_command
from seedspread.commands.train import main

settings.register_profile("any machine", deadline=None)  # a busy disk is no failure
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write this machine's hashes to tests/golden")


ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"
CONF = str(ROOT / "conf")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


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


@pytest.fixture(scope="session")
def cifar_pictures() -> str:
    path = SHARED / "cifar10-images.tar.xz"
    if not path.exists():
        pytest.skip(f"real CIFAR-10 pictures are not at {path}")
    return str(path)
