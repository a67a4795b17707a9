"""The quick start of Ictonyx with both: lines, seconds and processor seconds: `python -m benchmarks.ictonyx`.

Ictonyx's own two first examples, scikit-learn's wine, 20 runs each: the spread of a small network, which it shows with
Keras, here scikit-learn's network of the same layers and epochs; and is a network better than a forest, as it stands in
its README. Each is a process of its own, start-up included, in an empty folder; contenders take turns. Needs an
environment with both:

    uv venv /tmp/both && uv pip install --python /tmp/both ictonyx==0.4.8 scikit-learn -e .
    /tmp/both/bin/python -m benchmarks.ictonyx
"""

import argparse
import ctypes
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np

SPREAD = """
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
import seedspread as ss

X, y = load_wine(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(StandardScaler().fit_transform(X), y, test_size=54, random_state=42)

def network(seed):
    model = MLPClassifier(hidden_layer_sizes=(16, 16), max_iter=20).fit(X_train, y_train)
    return {"accuracy": model.score(X_test, y_test)}

ss.sweep(network, seeds=range(20))
"""
SPREAD_THEIRS = """
from sklearn.datasets import load_wine
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
import ictonyx as ix

X, y = load_wine(return_X_y=True)
model = MLPClassifier(hidden_layer_sizes=(16, 16), max_iter=20)
results = ix.variability_study(model, data=(StandardScaler().fit_transform(X), y), runs=20, seed=42, verbose=False)
print(results.summarize())
"""
COMPARISON = """
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
import seedspread as ss

X, y = load_wine(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(StandardScaler().fit_transform(X), y, test_size=54, random_state=42)

def network(seed):
    model = MLPClassifier(hidden_layer_sizes=(64,), max_iter=200).fit(X_train, y_train)
    return {"accuracy": model.score(X_test, y_test)}

def forest(seed):
    model = RandomForestClassifier(n_estimators=40).fit(X_train, y_train)
    return {"accuracy": model.score(X_test, y_test)}

print(ss.compare(ss.sweep(forest, range(20)), ss.sweep(network, range(20))))
"""
COMPARISON_THEIRS = """
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
import ictonyx as ix

X, y = load_wine(return_X_y=True)
comparison = ix.compare_models(
    models=[MLPClassifier(hidden_layer_sizes=(64,), max_iter=200), RandomForestClassifier(n_estimators=40)],
    data=(StandardScaler().fit_transform(X), y),
    runs=20, metric="val_accuracy", seed=42, verbose=False,
)
print(comparison.get_summary())
"""
PROGRAMS = {
    "spread: seedspread": SPREAD,
    "spread: seedspread, jobs=1, report=False": SPREAD.replace("(20)", "(20), jobs=1, report=False"),
    "spread: Ictonyx": SPREAD_THEIRS,
    "spread: Ictonyx, use_parallel=True": SPREAD_THEIRS.replace("seed=42", "seed=42, use_parallel=True"),
    "comparison: seedspread": COMPARISON,
    "comparison: seedspread, jobs=1, report=False": COMPARISON.replace("(20)", "(20), jobs=1, report=False"),
    "comparison: Ictonyx": COMPARISON_THEIRS,
}
ADOPT_ORPHANS = 36  # prctl's PR_SET_CHILD_SUBREAPER


def count_lines(program: str) -> tuple[int, int]:
    """Lines that are not blank, and those of them that are not imports."""
    lines = [line for line in program.splitlines() if line.strip()]
    return len(lines), sum(not line.startswith(("import ", "from ")) for line in lines)


def seconds(program: str) -> tuple[float, float]:
    """Wall and processor time of a program that succeeds, its workers included, also those that outlive it."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "MPLBACKEND": "agg"}  # scikit-learn: not yet converged
    with tempfile.TemporaryDirectory() as folder:
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        (Path(folder) / "program.py").write_text(program)
        subprocess.run([sys.executable, "program.py"], cwd=folder, env=environment, check=True, capture_output=True)
        wall = time.perf_counter() - start
        with suppress(ChildProcessError):
            while True:
                os.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Time each contender in turn, and print medians, ranges and the load of the machine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--skip", default="", help="contenders with this in their name")
    asked = parser.parse_args()
    ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1, 0, 0, 0)  # Linux: their processor time counts here once they end
    programs = {name: text for name, text in PROGRAMS.items() if not asked.skip or asked.skip not in name}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    loads = []
    for _ in range(asked.repeats):
        for name, program in programs.items():
            times[name].append(seconds(program))
            loads.append(round(os.getloadavg()[0], 1))
            print(name, *(f"{one:.1f}" for one in times[name][-1]), loads[-1], file=sys.stderr, flush=True)
    packages = ", ".join(f"{name} {version(name)}" for name in ("ictonyx", "scikit-learn", "numpy"))
    print(f"{packages}, Python {platform.python_version()}, {os.cpu_count()} cores, load {min(loads)} to {max(loads)}")
    print(f"{'':<44} {'lines':>5} {'no imports':>10} {'seconds':>22} {'processor seconds':>22}")
    for name, found in times.items():
        columns = (f"{np.median(one):.1f} ({min(one):.1f} to {max(one):.1f})" for one in zip(*found, strict=True))
        lines, without = count_lines(programs[name])
        print(f"{name:<44} {lines:>5} {without:>10} " + " ".join(f"{text:>22}" for text in columns))
    print(json.dumps({"repeats": asked.repeats, "loads": loads, "seconds": times}))


if __name__ == "__main__":
    main()
