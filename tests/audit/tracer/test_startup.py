"""The tracer in a program that knows nothing of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from seedspread.audit.program import STARTUP


def run(code: str, traced: Path, *paths: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    traced.mkdir(exist_ok=True)
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, [STARTUP, *paths])),
        "SEEDSPREAD_TRACE": str(traced),
        **environment,
    }
    return subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)


def read(traced: Path) -> list:
    return [json.loads(line) for path in sorted(traced.iterdir()) for line in path.read_text().splitlines()]


def test_it_imports_nothing_but_the_standard_library(tmp_path):
    code = "import sys; print(sorted(n for n in sys.modules if n.partition('.')[0] in ('torch','numpy','seedspread')))"

    assert run(code, tmp_path / "trace").stdout.strip() == "[]"


def test_a_sitecustomize_that_exists_runs_as_well(tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "sitecustomize.py").write_text("import os\nos.environ['THEIRS'] = 'ran'\n")
    done = run("import os, sitecustomize; print(os.environ['THEIRS'], sitecustomize.__file__)", tmp_path / "t", theirs)

    assert done.stdout.split() == ["ran", str(theirs / "sitecustomize.py")]


def test_without_the_variable_nothing_is_traced(tmp_path):
    done = run("import sys; print('seedspread_tracer' in sys.modules)", tmp_path / "t", SEEDSPREAD_TRACE="")

    assert done.stdout.strip() == "False"


def test_who_seeds_is_traced_with_what_was_drawn_before(tmp_path):
    (tmp_path / "program.py").write_text("import random\nrandom.random()\nrandom.seed(7)\n")
    run("import program", tmp_path / "trace", tmp_path)
    [call] = [event for event in read(tmp_path / "trace") if event[0] == "seed"]

    assert call[1:3] == ["random.seed", "7"]
    assert call[3].endswith("program.py:3")
    assert call[4:] == ["python", ["python"]]


def test_directories_are_listed_in_reverse_where_it_is_asked_for(tmp_path):
    for name in "abc":
        (tmp_path / name).write_text("")
    code = (
        f"import glob, os, pathlib; p = {str(tmp_path)!r}; print(os.listdir(p), [e.name for e in os.scandir(p)],"
        "[f.name for f in pathlib.Path(p).iterdir()], [f.name for f in pathlib.Path(p).glob('*')], os.walk)"
    )
    (tmp_path / "trace").mkdir()
    plain, reversed_ = (
        run(code, tmp_path / "trace", SEEDSPREAD_TRACE_REVERSED=value).stdout.split("]") for value in "01"
    )

    for one, other in zip(plain[:4], reversed_[:4], strict=True):
        names = [part.strip(" [,'") for part in one.split(",") if part.strip(" [,'")]
        assert [part.strip(" [,'") for part in other.split(",") if part.strip(" [,'")] == names[::-1]


def test_a_forked_child_writes_a_trace_of_its_own(tmp_path):
    code = "import os, random\nif os.fork():\n    os.wait()\nelse:\n    random.seed(1)\n    os._exit(0)\n"
    run(code, tmp_path / "trace")
    starts = [event[1] for event in read(tmp_path / "trace") if event[0] == "start"]

    assert len(starts) == 2 and {start["parent"] for start in starts} & {start["pid"] for start in starts}


def test_the_state_of_random_has_one_hash_in_every_process(tmp_path):
    code = (
        "import random; random.seed(3); import seedspread_tracer.generators as g\n"
        "held = random.Random(3)\n"
        "print(g.read_states()['python'], g.hash_generator(held)); random.random(); print(g.read_states()['python'])"
    )
    one, other = (run(code, tmp_path / "trace", PYTHONHASHSEED=seed).stdout.split() for seed in "12")

    assert one == other and len(set(one)) == 2
