"""Parts of messages that several tests expect."""

from __future__ import annotations

#: The keys of [training], as a message about an unknown one lists them.
TRAINING_KEYS = (
    "cadence, window_days, label_delay_days, max_unlabelled, split, train_validation_split_proportion, "
    "calibration_proportion, balancing, target_ratio, smote_neighbours, calibration, max_categories, constant_columns, "
    "min_area_under_roc, min_area_under_pr, max_calibration_error, out_of_time, min_out_of_time_area_under_roc, "
    "min_positives, min_labelled, min_accuracy, min_macro_f1, max_log_loss, coverage, max_rmse, max_mae, min_r2, "
    "min_coverage, bootstrap_replicates, confidence, champion_margin, max_candidates, trees, depth, seed"
)
