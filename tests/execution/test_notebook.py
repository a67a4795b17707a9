"""Sweeps in a notebook: a table below the cell, functions of the notebook in workers, sources by the cells."""

import nbformat
import pytest
from nbclient import NotebookClient

from seedspread.execution import notebook
from seedspread.records.study import Study


class Handle:
    def __init__(self):
        self.shown = []

    def update(self, data, raw):
        assert raw
        self.shown.append(data)


def test_a_table_changes_where_something_is_new(monkeypatch):
    handle = Handle()
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: handle)
    table = notebook.NotebookTable()
    for seeds in ([], ["seed 0  1.0"], ["seed 0  1.0"], [f"seed {i}  <b>&" for i in range(notebook.ROWS + 3)]):
        table.update(f"mine {len(seeds)}/13", seeds)
    assert [data["text/plain"].splitlines()[0] for data in handle.shown] == ["mine 0/13", "mine 1/13", "mine 13/13"]
    last = handle.shown[-1]
    assert last["text/html"].count("<tr>") == 1 + notebook.ROWS and "seed 12  &lt;b&gt;&amp;" in last["text/html"]
    assert "seed 2 " not in last["text/plain"] and "seed 3 " in last["text/plain"]


def test_outside_of_a_notebook_there_is_none():
    assert not notebook.in_notebook()


CELLS = [
    "import seedspread as ss\nfrom dataclasses import dataclass",
    "RATE = 0.5\n@dataclass\nclass Net:\n    width: int = 3\n"
    "    def fit(self, seed):\n        return RATE / (self.width + seed)",
    "def train(seed):\n    import numpy as np\n    for epoch in range(2):\n"
    "        yield {'rmse': Net().fit(seed) / (1 + epoch), 'drawn': np.random.random()}",
    "scores = ss.sweep(train, seeds=range({n}), study='mine', metric='rmse', jobs={jobs}, report=False)",
    "print(scores.final.tolist())",
]


def run(folder, n=4, jobs=1, change=("", ""), allow_errors=False):
    """Run the cells in `folder`: the outputs of the one that sweeps, and all that is printed."""
    cells = [cell.replace("{n}", str(n)).replace("{jobs}", str(jobs)).replace(*change) for cell in CELLS]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    more = {"kernel_name": "python3", "allow_errors": allow_errors, "resources": {"metadata": {"path": str(folder)}}}
    NotebookClient(made, timeout=300, **more).execute()
    return made.cells[3].outputs, "".join(o.get("text", "") for cell in made.cells for o in cell.outputs)


@pytest.mark.slow
def test_a_notebook_sweeps_its_own_functions_and_shows_a_table(tmp_path):
    expected = "[0.08333333333333333, 0.0625, 0.05, 0.041666666666666664]"
    for jobs in (1, 2):
        outputs, said = run(tmp_path, jobs=jobs)
        assert expected in said
        if jobs == 1:
            [table] = [output for output in outputs if output.output_type == "display_data"]
            assert "mine  4/4" in table.data["text/html"] and "seed    3" in table.data["text/plain"]
            assert "seed    3" not in said, "lines in a table are not printed as well"
            before = {
                seed: record.final for seed, record in Study.load(tmp_path / "results/mine").scan().records.items()
            }
        else:
            assert "4 of 4 seeds have their records" in said
    assert "4 of 5 seeds have their records, 1 to run" in run(tmp_path, n=5, jobs=2)[1]
    study = Study.load(tmp_path / "results/mine")
    assert {seed: study.record(seed).final for seed in before} == before and len(study.scan().records) == 5
    assert {name.partition(".")[0] for name in study.config["function"]["source"]} == {"train", "Net"}


@pytest.mark.slow
@pytest.mark.parametrize("change, refused", [
    (("RATE = 0.5", "RATE = 0.25"), True), (("self.width + seed", "self.width - seed"), True),
    (("width: int = 3", "width: int = 4"), True), (("RATE = 0.5\n", "RATE = 0.5  # half\n\n"), False),
])  # fmt: skip
def test_what_changed_in_a_cell_is_another_study(tmp_path, change, refused):
    run(tmp_path, n=1)
    outputs, _ = run(tmp_path, n=1, change=change, allow_errors=refused)
    errors = [output.evalue for output in outputs if output.output_type == "error"]
    assert bool(errors) == refused and all("holds results of another function (function." in error for error in errors)
