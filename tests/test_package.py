"""The package as it is installed and imported: the wheel, the API, and the rooms that do without torch."""

import doctest
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import seedspread as ss
from seedspread.config.errors import InputError
from seedspread.config.extras import check_train_extra
from seedspread.records.study import Study
from tests.conftest import ROOT
from tests.synthetic import CONFIG, add_seed

SOURCE = ROOT / "src" / "seedspread"
LIGHT_ROOMS = ("commands", "config", "decide", "execution", "records", "report", "scripts", "search", "statistics")


def imported_by(*modules: str) -> set[str]:
    """The packages that a new process has imported after it has imported `modules`."""
    code = f"import sys, {', '.join(modules)}; print(*{{name.split('.')[0] for name in sys.modules}})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return set(found.stdout.split())


def test_no_room_but_those_that_compute_with_torch_imports_it():
    files = [path for room in LIGHT_ROOMS for path in (SOURCE / room).rglob("*.py")]
    modules = [".".join(path.relative_to(ROOT / "src").with_suffix("").parts) for path in files]
    imported = imported_by(*(module.removesuffix(".__init__") for module in modules), "hydra_plugins.seed_sweeper")
    assert "seedspread" in imported
    assert not imported & {"torch", "torchvision", "lightning", "pytorch_lightning", "timm"}


def test_importing_the_package_imports_nothing_else():
    assert not imported_by("seedspread") & {"hydra", "lightning", "matplotlib", "numpy", "pandas", "scipy", "torch"}


def test_workers_import_quickly():
    """Without a search of all that torch has made for garbage, and without the networks that only probes use."""
    code = (
        "import gc, sys; whole = []; gc.callbacks.append(lambda phase, found: whole.append(found['generation'] == 2));"
        "import seedspread.training.worker; print(sum(whole), gc.isenabled(), 'timm' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert found.stdout.split() == ["0", "True", "False"], found.stderr


def test_the_plugin_imports_hydra_alone():
    assert not imported_by("hydra_plugins.seed_sweeper") & {"numpy", "seedspread", "torch"}


def test_every_public_name_has_an_example_that_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finder = doctest.DocTestFinder(recurse=False)
    names = sorted(set(ss.__all__) - {"statistics"}, key=lambda name: name != "train")  # the others read its study
    for name in names:
        (example,) = finder.find(getattr(ss, name), name, globs={name: getattr(ss, name), "ss": ss})
        assert example.examples, f"{name}: no example"
        out: list[str] = []
        failed, _ = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS).run(example, out=out.append)
        assert not failed, "".join(out)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'sweeep'"):
        ss.sweeep  # noqa: B018


def test_missing_packages_are_answered_with_the_extra_that_installs_them(monkeypatch):
    check_train_extra()
    monkeypatch.setattr("seedspread.config.extras.TRAINING_PACKAGES", ("torch", "no_such_package"))
    with pytest.raises(InputError, match=r"needs no_such_package; .* pip install '\.\[train\]'"):
        check_train_extra()


SCRIPT = """
import random
import seedspread as ss

def train(seed):
    return {"rmse": random.random()}

assert len(ss.sweep(train, range(3), study="function", jobs=2).final) == 3
"""


@pytest.mark.slow
def test_the_wheel_in_a_fresh_environment_does_all_but_training_without_torch(tmp_path):
    def run(*command: object, code: int = 0) -> str:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        found = subprocess.run(
            list(map(str, command)), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert found.returncode == code, found.stdout + found.stderr
        return found.stdout + found.stderr

    run(sys.executable, "-m", "build", "--outdir", tmp_path / "dist", ROOT)
    assert list((tmp_path / "dist").glob("*.tar.gz"))
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    packed = [Path(name) for name in zipfile.ZipFile(wheel).namelist()]
    tops = {path.parts[0] for path in packed}
    assert tops == {"seedspread", "hydra_plugins", f"seedspread-{ss.__version__}.dist-info"}
    configs = {path.relative_to("seedspread/conf") for path in packed if path.is_relative_to("seedspread/conf")}
    assert configs == {path.relative_to(ROOT / "conf") for path in (ROOT / "conf").rglob("*.yaml")}

    run(sys.executable, "-m", "venv", "fresh")
    binaries = tmp_path / "fresh" / "bin"
    run(binaries / "python", "-m", "pip", "install", "--quiet", wheel)
    assert run(binaries / "python", "-c", "import importlib.util as u; print(u.find_spec('torch'))") == "None\n"

    for name, mean in (("a", 90), ("b", 95)):
        scores = mean + np.random.default_rng(mean).normal(size=10)
        (tmp_path / f"{name}.csv").write_text("\n".join(["accuracy", *map(str, scores)]))
    assert "b is better" in run(
        binaries / "seedspread", "compare", "baseline=a.csv", "candidate=b.csv", "column=accuracy"
    )
    study = Study.open(tmp_path / "results" / "dots", CONFIG)
    for seed, accuracy in enumerate((0.80, 0.83, 0.81, 0.86)):
        add_seed(study, seed, accuracy)
    assert "index.html" in run(binaries / "seedspread", "report", "study=dots")
    assert (tmp_path / "results" / "dots" / "report" / "histogram.svg").stat().st_size
    (tmp_path / "script.py").write_text(SCRIPT)
    assert "function, 3 seeds: rmse" in run(binaries / "python", "script.py")
    program = ["echo", '{"rmse": {seed}}']
    printed = run(binaries / "seedspread", "run", "seed=0,1", "study=program", "report=false", "--", *program)
    assert "program, 2 seeds: rmse" in printed
    assert "seed 1: identical" in run(binaries / "seedspread", "reproduce", "study=program", "seed=1")
    assert run(binaries / "seedspread", "reproduce", "study=dots", "seed=1", code=1).startswith("error: training needs")
    refused = run(binaries / "seedspread", "train", "experiment=digits", code=1)
    assert refused.startswith("error: training needs ") and refused.count("\n") == 1 and "[train]" in refused
