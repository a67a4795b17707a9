"""A comparison of two studies of 1,000 seeds, and ASO against deep-significance: `python -m benchmarks.compare`.

The studies are made up: 1,000 seeds x 45 epochs x 10,000 test examples each. deep-significance is not among this
project's packages; `--rival PYTHON` names an interpreter of a venv that has it (pip install deepsig "numpy<2").
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.report import made_up
from seedspread import statistics as st
from seedspread.statistics.comparison import DRAWS

# Takes the draws as argument and two arms as JSON from standard input; prints seconds, ε_min and the violation ratio.
RIVAL = """
import json, sys, time
from deepsig.aso import aso, compute_violation_ratio
baseline, candidate = json.load(sys.stdin)
began = time.perf_counter()
found = aso(candidate, baseline, num_bootstrap_iterations=int(sys.argv[1]), num_jobs=1, seed=1, show_progress=False)
took = time.perf_counter() - began
print(json.dumps([took, float(found), float(compute_violation_ratio(candidate, baseline, dt=0.0001))]))
"""


def whole_comparison(seeds: int, rounds: int) -> None:
    """Time and memory of the command, start-up included."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("old", "new"):
            made_up(Path(scratch) / name, seeds, 45, 10_000)
        # The maker gives both the same bits: take each seed's answers in the candidate from those of another one.
        for path in sorted((Path(scratch) / "new" / "examples").glob("0*.npz")):
            path.write_bytes(
                (Path(scratch) / "old" / "examples" / f"{(int(path.stem) + 1) % seeds:06d}.npz").read_bytes()
            )
        for path in (Path(scratch) / "new" / "seeds").iterdir():
            record = json.loads(path.read_text())
            record["final"]["val/acc"] += 0.0002 * np.sin(int(path.stem))
            path.write_text(json.dumps(record))
        took = []
        for _ in range(rounds):
            began = time.perf_counter()
            command = [
                sys.executable,
                "-m",
                "seedspread",
                "compare",
                f"results={scratch}",
                "baseline=old",
                "candidate=new",
            ]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            took.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(
        f"seedspread compare of two studies of {seeds:,} seeds, {DRAWS:,} draws: "
        f"median of {rounds} {_median(took):.1f} s ({min(took):.1f} to {max(took):.1f}), {peak:.2f} GiB at its peak",
        flush=True,
    )


def _median(values: list[float]) -> float:
    return statistics.median(values)


def parts(n: int) -> None:
    """Each function at n seeds an arm."""
    baseline, candidate = _arms(n)
    for function in (
        st.permutation_test,
        st.sign_flip_test,
        st.probability_of_improvement,
        st.almost_stochastic_dominance,
    ):
        began = time.perf_counter()
        function(baseline, candidate)
        print(f"{function.__name__} of {n:,} and {n:,}: {time.perf_counter() - began:.2f} s", flush=True)


def test_examples(seeds: int, examples: int) -> None:
    """The error of the difference over test examples, from packed bits."""
    rows = np.random.default_rng(0).integers(0, 256, (2, seeds, -(-examples // 8)), dtype=np.uint8)
    began = time.perf_counter()
    one, other = (st.share_right(arm, examples) for arm in rows)
    both = st.share_right((a & b for a, b in zip(*rows, strict=True)), examples)
    st.example_error(one, other, same=True)
    st.shared_variance(one, seeds, other, seeds, both)
    print(f"test examples, two of {seeds:,} x {examples:,}: {time.perf_counter() - began:.1f} s", flush=True)


def _arms(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(0, 1, n), rng.normal(0.1, 1.1, n)


def against_deep_significance(python: str, n: int, draws: int) -> None:
    """One ASO of n and n scores by either, with as many draws; how far ε_min moves with the seed of ours."""
    baseline, candidate = _arms(n)
    ours, found = [], []
    for seed in range(40):
        began = time.perf_counter()
        found.append(st.almost_stochastic_dominance(baseline, candidate, draws=draws, seed=seed))
        ours.append(time.perf_counter() - began)
    told = json.dumps([baseline.tolist(), candidate.tolist()])
    answer = subprocess.run([python, "-c", RIVAL, str(draws)], input=told, capture_output=True, text=True)
    if answer.returncode:
        print(f"deep-significance: {(answer.stderr.strip().splitlines() or ['?'])[-1]}; see --help for how to have it")
        return
    seconds, theirs, ratio = json.loads(answer.stdout)
    error = statistics.stdev(found)
    print(
        f"ASO of {n:,} and {n:,} scores, {draws:,} draws, one process: deep-significance {seconds:.1f} s, ours "
        f"{_median(ours):.3f} s, {seconds / _median(ours):.0f} times as fast; ε_min {theirs:.4f} and "
        f"{statistics.mean(found):.4f} ± {error:.4f} (std over 40 seeds of the bootstrap), "
        f"{abs(theirs - statistics.mean(found)) / error:.1f} std apart; violation ratio by their sum of 10,000 points "
        f"{ratio:.5f}, ours, exact {st.violation_ratio(baseline, candidate):.5f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rival", default=sys.executable)
    options = parser.parse_args()
    whole_comparison(options.seeds, options.rounds)
    parts(options.seeds)
    test_examples(10_000, 10_000)
    against_deep_significance(options.rival, options.seeds, 1_000)


if __name__ == "__main__":
    main()
