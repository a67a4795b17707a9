"""What a trained module says of each test example: probabilities on wish, of the Classifier and of others."""

from pathlib import Path

import numpy as np
import pytest
import torch

from seedspread.commands.train import train
from seedspread.config.errors import InputError
from seedspread.records.study import Study
from seedspread.training.example_results import read_example_results
from tests.training.inline import train_seeds

WISH = "examples.probabilities=float16"


def study_of(cfg):
    return Study.load(Path(cfg.results) / cfg.study)


@pytest.mark.parametrize("split", [(), ("data.validation=0.1",)], ids=["scored every epoch", "scored at the end"])
def test_probabilities_are_kept_on_wish_and_move_no_bit(small, split):
    plain, asked = (small("seed=3", f"study={name}", *split, *more) for name, more in (("a", ()), ("b", (WISH,))))
    one, other = train(plain), train(asked)
    for name in ("weights_sha256", "predictions_sha256", "curves", "final", "config_digest"):
        assert getattr(one, name) == getattr(other, name), name
    assert study_of(plain).examples(3).keys() == {"predictions"}
    assert study_of(plain).examples_path(3).stat().st_size < 500 + 400  # a byte an example, and the archive's own
    study = study_of(asked)
    probabilities, truth = study.probabilities(3), study.read_index().labels
    assert probabilities.dtype == np.float16 and probabilities.shape == (500, 10)
    assert probabilities.sum(axis=1, dtype=float) == pytest.approx(np.ones(500), abs=2e-3)
    assert (probabilities[np.arange(500), study.predictions(3)] == probabilities.max(axis=1)).all()
    likelihood = np.log(probabilities[np.arange(500), truth].astype(float))
    assert -likelihood.mean() == pytest.approx(other.final["test/loss" if split else "val/loss"], abs=1e-3)


def test_seeds_with_and_without_them_share_a_study(small):
    train(small("seed=0"))
    train(small("seed=1", WISH))
    study = study_of(small())
    assert [len(study.examples(seed)) for seed in (0, 1)] == [1, 2]
    before = study.record(0)
    train(small("seed=0", WISH, "overwrite=true"))  # how a seed gets them later
    assert len(study.examples(0)) == 2 and study.record(0).weights_sha256 == before.weights_sha256


@pytest.mark.parametrize("split", [(), ("data.validation=6",)], ids=["scored every epoch", "scored at the end"])
def test_a_stack_keeps_those_that_each_head_has_alone(probe, split):
    for name, stack in (("alone", 1), ("stack", 3)):
        assert train_seeds(probe(f"study={name}", f"stack={stack}", WISH, *split), range(3)) == 0
    alone, stacked = (study_of(probe(f"study={name}")) for name in ("alone", "stack"))
    for seed in range(3):
        assert stacked.record(seed).stacked == 3 and stacked.probabilities(seed).shape == (12, 3)
        assert np.array_equal(alone.probabilities(seed), stacked.probabilities(seed))
    assert not np.array_equal(stacked.probabilities(0), stacked.probabilities(1))


class Telling(torch.nn.Module):
    """A module whose hook returns these arrays."""

    def __init__(self, **results):
        super().__init__()
        self.results = results

    def example_results(self):
        return self.results


def told_by(**results):
    return read_example_results(Telling(**results))[0]


def test_the_most_probable_class_is_the_prediction_unless_another_is_told():
    rows = torch.tensor([[0.2, 0.8], [0.7, 0.3]], dtype=torch.bfloat16)
    assert told_by(probabilities=rows)["predictions"].tolist() == [1, 0]
    assert told_by(probabilities=rows, predictions=[0, 0])["predictions"].tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_one_probability_an_example_is_that_of_the_second_of_two_classes(shape):
    told = told_by(probabilities=torch.tensor([0.9, 0.5, 0.2]).reshape(shape), labels=torch.tensor([1, 0, 0]))
    assert told["probabilities"] == pytest.approx(np.array([[0.1, 0.9], [0.5, 0.5], [0.8, 0.2]]))
    assert told["predictions"].tolist() == [1, 0, 0]


def test_of_several_labels_an_example_no_label_is_predicted():
    rows = torch.tensor([[0.9, 0.8, 0.1], [0.2, 0.3, 0.6]])
    assert told_by(probabilities=rows, labels=torch.ones(2, 3)).keys() == {"probabilities"}


def test_what_is_no_probability_is_refused():
    with pytest.raises(InputError, match=r"probabilities from -2 to 3; for logits give their softmax"):
        told_by(probabilities=torch.tensor([[-2.0, 3.0]]))
    assert np.isnan(told_by(probabilities=torch.full((2, 2), torch.nan))["probabilities"]).all()  # a seed that diverged


def test_a_wish_that_a_module_cannot_grant_is_refused(small, tmp_path):
    with pytest.raises(InputError, match=r"examples.probabilities=float16: Telling.example_results returns no prob"):
        read_example_results(Telling(predictions=[1, 2]), probabilities=True)
    topics = ["module._target_=seedspread.examples.multilabel.TopicTagger", "metric.name=val/f1", "study=topics"]
    with pytest.raises(InputError, match="TopicTagger has no method example_results"):
        train(small(*topics, WISH))


def test_another_type_is_refused(small):
    with pytest.raises(InputError, match=r"examples.probabilities=float32: choose float16, or null"):
        train(small("examples.probabilities=float32"))
