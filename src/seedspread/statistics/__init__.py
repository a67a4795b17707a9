"""Statistics of scores over seeds: pure functions on NumPy arrays, each with its source."""

# ruff: noqa: F401 - what is imported here is what the room offers

from seedspread.statistics.agreement import (
    Churn,
    ClassSpread,
    Families,
    churn,
    churn_between,
    churn_difference,
    class_spread,
    confusion,
    embed,
    families,
    independent_churn,
    label_counts,
    mapped_seeds,
    pairwise_churn,
)
from seedspread.statistics.calibration import (
    ConfidenceBins,
    Reliability,
    calibration_error,
    calibration_error_by_chance,
    confidence_bins,
    overconfidence_interval,
    reliability,
    squared_calibration_error,
)
from seedspread.statistics.collapse import collapse_rate, find_collapsed
from seedspread.statistics.comparison import (
    Difference,
    Permutations,
    Summary,
    bouthillier_verdict,
    effect_size,
    holm,
    one_sample_t_test,
    paired_t_test,
    permutation_test,
    permute_arms,
    probability_of_improvement,
    sign_flip_test,
    welch_test,
    welch_test_of_summaries,
)
from seedspread.statistics.curves import Bands, bands, flat_from, late_spread_ratio, running
from seedspread.statistics.ensembles import Ensemble, averaged_ensembles, ensemble
from seedspread.statistics.examples import (
    accuracy_interval,
    example_error,
    independent_example_variance,
    over_seeds_and_examples,
    share_right,
    shared_variance,
)
from seedspread.statistics.luck import (
    Between,
    Choice,
    best_of_choices,
    best_quarter_gain,
    between_networks,
    expected_best_of,
    halves,
)
from seedspread.statistics.order import almost_stochastic_dominance, almost_stochastic_order, violation_ratio
from seedspread.statistics.outliers import (
    Shape,
    expected_extreme,
    expected_maximum,
    grubbs,
    maximum_range,
    outliers,
    shape,
    unseen_rate,
)
from seedspread.statistics.power import achieved_power, detectable_difference, detectable_errors, seeds_needed
from seedspread.statistics.sequential import (
    FEWEST,
    Look,
    Outcome,
    chance_of_outcome,
    critical_t,
    log_e_of_signs,
    log_e_value,
    look,
    pairs_needed,
    pairs_to_narrow,
    std_upper_limit,
)
from seedspread.statistics.spread import (
    UNKNOWN,
    Array,
    Interval,
    bootstrap_interval,
    brown_forsythe,
    correlation,
    interquartile_mean,
    is_constant,
    mean_interval,
    sample_std,
    split_mean_interval,
    std_interval,
    std_ratio,
)
