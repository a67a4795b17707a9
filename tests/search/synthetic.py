"""A space, and searches of made-up trials: whatever reads a search, without training."""

from seedspread.records.study import Study
from seedspread.search.space import Space
from seedspread.search.trials import Trial
from tests.synthetic import DATA, make_record

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
        trial = Trial(f"trial-{i:03d}", point, {}, space=SPACE.describe())
        trial.write(folder / trial.name)
        study = Study.open(folder / trial.name, {"point": point, "data": {"_target_": DATA}})
        for seed, curve in enumerate(scores):
            epochs, accuracy = range(len(curve)), [c / 100 for c in curve]
            curves = {"val/acc": accuracy, "train/acc": accuracy, "train/loss": [2 - 0.1 * e for e in epochs]}
            curves["val/loss"] = [abs(e - 3) + 1.0 for e in epochs]
            final = {metric: values[-1] for metric, values in curves.items()}
            status = "diverged" if i in diverged else "finished"
            more = {"test_examples": 500, "seconds": {"setup": 0.1, "train": 1.0, "score": 0.1}}
            study.write(make_record(study, seed, epochs=len(curve), status=status, curves=curves, final=final, **more))
    return folder
