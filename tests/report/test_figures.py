"""Figures of a study."""

from seedspread.report import figures
from tests.synthetic import add_seed, found_in


def test_a_single_epoch_is_drawn_as_a_block_within_its_axes(make_study):
    study = make_study([])
    for seed, accuracy in enumerate((0.7, 0.8, 0.9)):
        add_seed(study, seed, accuracy, epochs=1)
    for ax in figures.learning_curves([found_in(study)]).axes:
        (left, right), bands = ax.get_xlim(), ax.collections
        assert len(bands) == 2 and all(band.get_paths()[0].get_extents().width > 0 for band in bands)
        assert [tick for tick in ax.get_xticks() if left <= tick <= right] == [1]
