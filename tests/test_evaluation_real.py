"""The reference row: one value for each figure of real clips, and it is what is measured here."""

import json

import pytest

from vidgen_tf import datasets
from vidgen_tf.errors import CourseError
from vidgen_tf.evaluation import real
from vidgen_tf.evaluation.spec import METRICS


@pytest.mark.parametrize("dataset", datasets.DATASETS)
def test_every_data_set_has_a_row_with_intervals(dataset):
    row = real.real_scores(dataset)
    assert list(row) == ["sharpness", "temporal_autocorrelation", "flicker", "warping_error", "static_share"] and set(row) <= set(
        METRICS
    )
    for estimate in row.values():
        assert estimate.low <= estimate.value <= estimate.high
    count = datasets.DATASETS[dataset].splits["test"]
    assert [estimate.n for estimate in row.values()] == [count, count, count, 24, count]


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["digits", "faces-32"])
def test_the_stored_row_is_what_is_measured(dataset, tmp_path):
    real.write_real_scores([dataset], tmp_path / "real.json")
    stored, found = json.loads(real.REAL_SCORES.read_text())[dataset], json.loads((tmp_path / "real.json").read_text())[dataset]
    assert stored.keys() == found.keys()
    for metric in stored:
        assert stored[metric] == pytest.approx(found[metric], rel=1e-4, abs=1e-9), metric


def test_an_unknown_data_set_and_a_damaged_file_are_said(monkeypatch, tmp_path):
    with pytest.raises(CourseError, match="no scores of real clips of 'dogs'; there are some of shapes"):
        real.real_scores("dogs")
    monkeypatch.setattr(real, "REAL_SCORES", tmp_path / "real.json")
    (tmp_path / "real.json").write_text("{")
    with pytest.raises(CourseError, match="is damaged: restore it"):
        real.real_scores("digits")
