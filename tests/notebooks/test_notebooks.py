"""Every notebook runs from its first cell to its last, on small settings."""

import re

import nbformat
from nbclient import NotebookClient

from tests.conftest import ROOT


def run(name, parameters=""):
    """Run the notebook with these lines after its cell of parameters; its cells, and all that they print."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    if parameters:
        (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        cell.source += f"\n{parameters}"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return outputs, "".join(output.get("text", "") for output in outputs)


def test_seed_variance(study):
    outputs, _ = run("seed_variance", f"STUDY = {str(study.folder)!r}")
    assert len([output for output in outputs if "image/png" in output.get("data", {})]) >= 6


def test_luck_or_progress(study):
    _, said = run("luck_or_progress", f"STUDY = {str(study.folder)!r}")
    by_test = float(re.search(r"says different in ([0-9.]+) %", said)[1])
    assert by_test < 7 and "variance between networks" in said


def test_tuning(tmp_path, cache):
    small = ["experiment=digits", "trainer=cpu", "trainer.max_epochs=1", "model.width=2", f"data.cache={cache}"]
    search = ["trials=3", "seeds_per_trial=2", "fresh_seeds=8"]
    _, said = run("tuning", f"RESULTS = {str(tmp_path)!r}\nSEARCH = {search}\nSMALL = {small}")
    chosen = float(re.search(r"chosen score - truth: ([-+.0-9]+)", said)[1])
    honest, error = map(float, re.search(r"honest score - truth: ([-+.0-9]+) ± ([.0-9]+)", said).groups())
    assert chosen > 0.3 and abs(honest) < 3 * error


def test_random_number_generators():
    _, said = run("random_number_generators")
    assert "keyed by picture        0, 1, 2 workers alike: True" in said and "the same bits: True" in said
