"""The results of all models: a table and a figure in the README, written whole, again and again."""

import numpy as np
import pytest

from vidgen_tf import datasets, zoo
from vidgen_tf.errors import CourseError
from vidgen_tf.evaluation import copies, measurements, results
from vidgen_tf.evaluation.report import Report
from vidgen_tf.evaluation.spec import METRICS, SPECS
from vidgen_tf.pipelines.cost import sample_with_cost
from vidgen_tf.video import Clip

N = 100


def report(name, dataset, distance, minutes, **scores):
    rows = [
        ("frame_frechet_distance", distance, 2.0),
        ("training_minutes", minutes, None),
        *((k, v, None) for k, v in scores.items()),
    ]
    common = {"reconstruction": None, "n": 500, "best": ""}
    intervals = {"frame_frechet_distance": (0.9 * distance, 1.1 * distance)} if distance else {}
    rows = [
        {"metric": k, "clips": v, "interval": intervals.get(k), "real": real} | common for k, v, real in rows if v is not None
    ]
    return Report(name, dataset, 500, rows, Clip(np.zeros((1, 8, 8, 1), np.uint8)), {})


REPORTS = [
    report("b", "digits", 8.0, 3.0, parameters=1234567),
    report("a", "digits", 4.0, 0.5),
    report("d", "digits", None, 0.5),
    report("c", "faces", None, 2.0),
]
FIRST, LAST = results.MARKERS


@pytest.fixture
def readme(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"before\n{FIRST}\nold\n{LAST}\nafter, Fréchet\n", encoding="utf-8")
    return path


def test_the_table_stands_between_the_markers_and_the_rest_is_left_alone(readme):
    figure = readme.parent / "assets" / "results.png"
    for _ in range(2):  # the second time changes nothing
        results.write_results(REPORTS, readme, figure)
        text = readme.read_text(encoding="utf-8")
        assert text.startswith(f"before\n{FIRST}\n| model | data set | n | frame Fréchet distance (real) |")
        assert text.endswith(f"](assets/results.png)\n{LAST}\nafter, Fréchet\n") and "old" not in text
    pixels = Clip.load(figure).frames
    assert pixels.shape[1] > 300 and np.ptp(pixels) == 255
    picture = figure.read_bytes()
    results.write_results(REPORTS, readme, figure)
    assert figure.read_bytes() == picture and readme.read_text(encoding="utf-8") == text
    assert sorted(path.name for path in readme.parent.rglob("*.*")) == ["README.md", "results.png"]


def test_rows_are_by_data_set_and_distance_and_numbers_can_be_read():
    lines = results.markdown(REPORTS).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| a", "| b", "| d", "| c"]
    assert len({line.count("|") for line in lines}) == 1
    assert "| 8 [7.2, 8.8] (2) |" in lines[3] and "| 1,234,567 |" in lines[3] and "| 3 |" in lines[3]
    assert "| c | faces | 500 | - |" in lines[5]


@pytest.mark.parametrize("text", ["", FIRST, LAST + FIRST, 2 * (FIRST + LAST)])
def test_a_readme_without_the_markers_is_left_as_it_is(text, readme):
    readme.write_text(text)
    with pytest.raises(CourseError, match="once each"):
        results.write_results(REPORTS, readme, readme.parent / "f.png")
    assert readme.read_text() == text and not (readme.parent / "f.png").exists()


def test_the_courses_readme_has_the_markers_and_metrics_that_there_are():
    text = results.README.read_text(encoding="utf-8")
    assert [text.count(marker) for marker in results.MARKERS] == [1, 1]
    assert set(results.COLUMNS.values()) <= METRICS.keys()


def test_the_readme_shows_the_recorded_scores(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(results.README.read_text(encoding="utf-8"), encoding="utf-8")
    results.write_weights_table(path)
    text = path.read_text(encoding="utf-8")
    assert text == results.README.read_text(encoding="utf-8")
    record = zoo.record("mlp-gan-digits")
    assert f"min class share {record['scores']['min_class_share']:.3g}" in text and "accuracy 98.96% or more" in text


def test_every_model_that_generates_has_a_reference():
    for name, record in zoo.manifest().items():
        if record["pipeline"] is None:
            with pytest.raises(CourseError, match="generates no clips"):
                results.evaluate_model(name)
        else:
            predicts = "num_context_frames" in record["sampling"]  # it is compared with the true future, classifiers or not
            assert record["reference"] in (datasets.DATASETS if predicts else SPECS), name


def test_what_sampling_costs():
    clips, cost = sample_with_cost("mlp-gan-digits", 3, seed=1)
    assert len(clips) == 3 and clips[0].frames.shape == (16, 28, 28, 1)
    assert cost["parameters"] == sum(np.prod(weight.shape) for weight in zoo.load("mlp-gan-digits").weights)
    assert cost["training_minutes"] == zoo.record("mlp-gan-digits")["minutes"]
    assert cost["clips_per_second"] > 0 and cost.get("peak_memory_mb", 200) > 100
    again, _ = sample_with_cost("mlp-gan-digits", 3, seed=1)
    np.testing.assert_array_equal(clips[2].frames, again[2].frames)


@pytest.mark.slow
def test_a_predictor_is_compared_with_the_true_future(monkeypatch):
    monkeypatch.setattr(measurements, "NUM_FLOW_CLIPS", 2)
    monkeypatch.setattr(copies, "NUM_SEARCHED", 20)
    found = results.evaluate_model("latent-gru-digits", N)
    psnr = found.horizons["psnr_db"]
    assert psnr.shape == found.horizons["ssim"].shape == (19,) and psnr[0] > psnr[4] + 3 > psnr[18] + 3
    assert found.scores["psnr_db"] == pytest.approx(psnr.mean()) and 0 < found.scores["ssim"] < 1
    assert found.scores["warping_error_exact"] > 0 and found.real["warping_error_exact"] < 0.01
    with pytest.raises(CourseError, match="There are 500 such clips"):
        results.evaluate_model("latent-gru-digits", 501)


def test_all_shipped_models_that_generate_are_evaluated_data_set_by_data_set(monkeypatch):
    calls = []
    monkeypatch.setattr(results, "evaluate_model", lambda *arguments: calls.append(arguments) or arguments[0])
    monkeypatch.setattr(results, "evaluate", lambda frames, dataset, clips, num_context_frames, name: (dataset, name))
    names, records = list(results.evaluate_all(200, 7)), zoo.manifest()
    baselines = [(dataset, f"*{name}*") for dataset in ("moving-digits", "stochastic-digits") for name in results.BASELINES]
    assert names[: len(baselines)] == baselines
    names = names[len(baselines) :]
    assert set(names) == {name for name, record in records.items() if record["pipeline"]} and "glo-faces" in names
    assert {arguments[1:] for arguments in calls} == {(200, 7)}
    references = [records[name]["reference"] for name in names]
    assert references == sorted(references)
