"""Each example trains under Lightning alone, to a score that a guess does not reach."""

from pathlib import Path

import lightning as L
import pytest

from seedspread.examples import diabetes, docstrings, multilabel


def fit_and_test(module: L.LightningModule, data: L.LightningDataModule, tmp_path: Path, **trainer: object) -> dict:
    trained = L.Trainer(
        accelerator="cpu",
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **trainer,
    )
    trained.fit(module, data)
    fitted = {name: float(value) for name, value in trained.callback_metrics.items()}
    trained.test(module, data, verbose=False)
    return {**fitted, **{name: float(value) for name, value in trained.callback_metrics.items()}}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    L.seed_everything(0, verbose=False)


def test_diabetes(tmp_path: Path) -> None:
    data = diabetes.DiabetesData()
    scores = fit_and_test(diabetes.DiabetesRegressor(), data, tmp_path, max_epochs=30)
    targets = data.test_set.tensors[1]
    constant = (targets - targets.mean()).square().mean().sqrt().item()
    assert {"train/loss", "val/loss", "val/rmse"} <= scores.keys()
    assert scores["test/rmse"] < 0.85 * constant
    assert [len(part) for part in (data.train_set, data.val_set, data.test_set)] == [266, 88, 88]


def test_docstrings(tmp_path: Path) -> None:
    scores = fit_and_test(docstrings.DocstringClassifier(), docstrings.DocstringData(), tmp_path, max_epochs=4)
    assert {"train/loss_step", "train/loss_epoch", "val/loss", "val/acc"} <= scores.keys()
    assert scores["test/acc"] > 0.6  # a guess is right once in five


def test_docstrings_stop_early(tmp_path: Path) -> None:
    data = docstrings.DocstringData(each=60)
    module = docstrings.DocstringClassifier(lr=0.0, patience=1)
    fit_and_test(module, data, tmp_path, max_epochs=10)
    assert module.trainer.should_stop


def test_a_sentence_has_one_library_and_does_not_name_it() -> None:
    data = docstrings.DocstringData()
    data.setup("fit")
    again = docstrings.DocstringData()
    again.setup("fit")
    assert data.train_set.words == again.train_set.words
    assert not {"numpy", "scipy", "sklearn", "torch"} & data.train_set.vocabulary.keys()


def test_words_are_hidden_in_training_only() -> None:
    words = [["sort", "an", "array", "in", "place"]]
    vocabulary = {word: number for number, word in enumerate(words[0], 2)}
    shown = docstrings.Sentences(words, [0], vocabulary)
    hidden = docstrings.Sentences(words, [0], vocabulary, word_dropout=1)
    assert shown[0][0].tolist() == [2, 3, 4, 5, 6]
    assert hidden[0][0].tolist() == [docstrings.UNKNOWN] * 5


@pytest.mark.parametrize(
    "trainer",
    [{"max_epochs": 5}, {"max_steps": 180, "max_epochs": -1}, {"max_epochs": 6, "check_val_every_n_epoch": 3}],
)
def test_multilabel(tmp_path: Path, trainer: dict) -> None:
    scores = fit_and_test(multilabel.TopicTagger(), multilabel.TopicData(), tmp_path, **trainer)
    assert {"train/loss", "val/loss", "val/f1"} <= scores.keys()
    assert scores["test/f1"] > 0.65  # every topic for every document scores 0.4
