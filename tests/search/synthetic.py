"""A space, and searches of made-up trials: whatever reads a search, without training."""

from seedspread.records.study import Study
from seedspread.search.space import Space
from seedspread.search.trials import Trial

CONFIG = {
    "optimizer": {"lr": 0.1, "weight_decay": 1e-3},
    "model": {"width": 8, "activation": "celu"},
    "loss": {"smoothing": 0.2},
}
LR = {"range": [0.001, 10.0], "scale": "log", "role": "nuisance"}
SMOOTHING = {"range": [0.0, 0.5], "scale": "linear", "role": "scientific"}
DECLARED = {"optimizer": {"lr": LR, "weight_decay": {**LR, "range": [1e-6, 0.1]}}, "loss": {"smoothing": SMOOTHING}}
SPACE = Space.of(DECLARED, CONFIG)
SEEDS, NOISE = 3, 0.8


def write_search(tmp_path, points_and_scores, diverged=()):
    """A search without training: trials and the records that the page reads."""
    folder = tmp_path / "made-search"
    for i, (point, scores) in enumerate(points_and_scores):
        trial = Trial(f"trial-{i:03d}", point, {}, space=SPACE.described())
        trial.describe(folder / trial.name)
        study = Study.open(folder / trial.name, {"point": point})
        for seed, curve in enumerate(scores):
            epochs = {"epoch": [*range(len(curve))], "val/acc": [c / 100 for c in curve]}
            epochs |= {"train/acc": epochs["val/acc"], "train/loss": [2 - 0.1 * e for e in epochs["epoch"]]}
            epochs["val/loss"] = [abs(e - 3) + 1.0 for e in epochs["epoch"]]
            final = {metric: values[-1] for metric, values in epochs.items() if metric != "epoch"}
            study.write(
                {"schema": 1, "seed": seed, "status": "diverged" if i in diverged else "finished", "reason": None}
                | {"config_digest": study.digest, "metrics": {"epochs": epochs, "final": final}, "test_examples": 500}
                | {"seconds": {"setup": 0.1, "train": 1.0, "score": 0.1}, "environment": {}, "ended": "2026-01-01"}
                | {"command": f"python -m src.train seed={seed} study={trial.name}"}
            )
    return folder
