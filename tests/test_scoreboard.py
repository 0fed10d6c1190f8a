"""The scoreboard: results in the README, written whole, again and again; and the exam on the command line."""

import re

import keras
import numpy as np
import pytest

from vidgen_tf import __main__ as command_line
from vidgen_tf import datasets, exam, scoreboard, zoo
from vidgen_tf.errors import CourseError
from vidgen_tf.video import Clip

N = 100


def report(name, world, content, minutes, **scores):
    rows = [("content_distance", content, 2.0), ("training_minutes", minutes, None), *((k, v, None) for k, v in scores.items())]
    rows = [
        {"measure": k, "clips": v, "real": real, "rebuilt": None, "n": 500, "best": ""} for k, v, real in rows if v is not None
    ]
    return exam.Report(name, world, 500, rows, Clip(np.zeros((1, 8, 8, 1), np.uint8)), {})


REPORTS = [
    report("b", "digits", 8.0, 3.0, parameters=1234567),
    report("a", "digits", 4.0, 0.5),
    report("d", "digits", None, 0.5),
    report("c", "faces", None, 2.0),
]
FIRST, LAST = scoreboard.MARKERS


@pytest.fixture
def readme(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- scoreboard -->\nold\n<!-- /scoreboard -->\nafter, Fréchet\n", encoding="utf-8")
    return path


def test_the_table_stands_between_the_markers_and_the_rest_is_left_alone(readme):
    figure = readme.parent / "assets" / "scoreboard.png"
    for _ in range(2):  # the second time changes nothing
        scoreboard.write_scoreboard(REPORTS, readme, figure)
        text = readme.read_text(encoding="utf-8")
        assert text.startswith("before\n<!-- scoreboard -->\n| model | world | n | content distance (real) |")
        assert text.endswith("](assets/scoreboard.png)\n<!-- /scoreboard -->\nafter, Fréchet\n") and "old" not in text
    pixels = Clip.load(figure).frames
    assert pixels.shape[1] > 300 and np.ptp(pixels) == 255
    picture = figure.read_bytes()
    scoreboard.write_scoreboard(REPORTS, readme, figure)
    assert figure.read_bytes() == picture and readme.read_text(encoding="utf-8") == text
    assert sorted(path.name for path in readme.parent.rglob("*.*")) == ["README.md", "scoreboard.png"]


def test_rows_are_by_world_and_content_and_numbers_can_be_read():
    lines = scoreboard.markdown(REPORTS).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| a", "| b", "| d", "| c"]
    assert len({line.count("|") for line in lines}) == 1
    assert "| 8 (2) |" in lines[3] and "| 1,234,567 |" in lines[3] and "| 3 |" in lines[3]
    assert "| c | faces | 500 | - |" in lines[5]


@pytest.mark.parametrize("text", ["", FIRST, LAST + FIRST, 2 * (FIRST + LAST)])
def test_a_readme_without_the_markers_is_left_as_it_is(text, readme):
    readme.write_text(text)
    with pytest.raises(CourseError, match="once each"):
        scoreboard.write_scoreboard(REPORTS, readme, readme.parent / "f.png")
    assert readme.read_text() == text and not (readme.parent / "f.png").exists()


def test_the_courses_readme_has_the_markers():
    text = scoreboard.README.read_text(encoding="utf-8")
    assert [text.count(marker) for marker in scoreboard.MARKERS] == [1, 1]


def test_every_model_has_a_world_whose_exam_there_is():
    for name in zoo.RECIPES:
        if scoreboard.makes_clips(name):
            predictor = hasattr(zoo.recipe(name), "truth")  # it is held against the true future, judges or not
            assert scoreboard.world_of(name) in (datasets.DATASETS if predictor else exam.WORLDS), name
        else:
            assert name.startswith("judge")
            with pytest.raises(CourseError, match="makes none"):
                scoreboard.examine_model(name)


def test_what_sampling_costs():
    clips, cost = scoreboard.sampled("mlp-gan-digits", 3, seed=1)
    assert len(clips) == 3 and clips[0].frames.shape == (16, 28, 28, 1)
    assert cost["parameters"] == sum(np.prod(weight.shape) for weight in zoo.load("mlp-gan-digits").weights)
    assert cost["training_minutes"] == zoo.manifest()["mlp-gan-digits"]["minutes"]
    assert cost["clips_per_second"] > 1 and cost.get("peak_memory_mb", 200) > 100
    again, _ = scoreboard.sampled("mlp-gan-digits", 3, seed=1)
    np.testing.assert_array_equal(clips[2].frames, again[2].frames)


@pytest.mark.slow
def test_a_model_of_the_zoo_sits_the_exam(tmp_path, capsys):
    assert command_line.main(["exam", "mlp-gan-digits", "-n", "100", "-o", str(tmp_path / "x.png")]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^100 clips of mlp-gan-digits, world scans$", shown, re.MULTILINE)
    values = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if len(line.split()) > 4}
    assert float(values["content_distance"][0]) < 4 * float(values["content_distance"][1])
    assert float(values["copies"][0]) < 0.2 and float(values["training_minutes"][0]) > 0
    assert Clip.load(tmp_path / "x.png").frames.shape[0] == 16


@pytest.mark.slow
def test_a_predictor_is_held_against_the_true_future(monkeypatch):
    monkeypatch.setattr(exam, "WARPED", 2)
    report = scoreboard.examine_model("latent-gru-digits", N)
    psnr = report.horizons["psnr_db"]
    assert psnr.shape == report.horizons["ssim"].shape == (19,) and psnr[0] > psnr[4] + 3 > psnr[18] + 3
    assert report.scores["psnr_db"] == pytest.approx(psnr.mean()) and 0 < report.scores["ssim"] < 1
    assert report.scores["warping_error_exact"] > 0 and report.real["warping_error_exact"] < 0.01
    with pytest.raises(CourseError, match="There are 500 such clips"):
        scoreboard.examine_model("latent-gru-digits", 501)


def test_all_shipped_models_that_make_clips_are_examined_world_by_world(monkeypatch):
    asked = []
    monkeypatch.setattr(scoreboard, "examine_model", lambda *arguments: asked.append(arguments) or arguments[0])
    names = list(scoreboard.examine_all(200, 7))
    assert set(names) == {name for name in zoo.manifest() if scoreboard.makes_clips(name)} and "dense-faces" in names
    assert {arguments[1:] for arguments in asked} == {(200, 7)}
    worlds = [scoreboard.world_of(name) for name in names]
    assert worlds == sorted(worlds)


def test_videos_of_another_program_are_examined(monkeypatch, tmp_path, capsys):
    """A hundred clips, one after another in one file, that a codec has been at."""
    clips = datasets.load("shapes", "train", N)
    Clip(clips.frames.reshape(-1, 32, 32, 3)).save(tmp_path / "made.mp4")
    (tmp_path / "asked.txt").write_text("\n".join(clips.captions))
    keras.utils.set_random_seed(0)
    monkeypatch.setattr(exam, "WARPED", 1)
    monkeypatch.setattr(zoo, "load", lambda name: zoo.recipe(name).build())
    monkeypatch.setattr(zoo, "manifest", dict)
    known = {split: datasets.load("shapes", split, N) for split in ("train", "test")}
    monkeypatch.setattr(exam, "_real", lambda world, split: (known[split].frames, known[split].states))
    exam._loaded.cache_clear()
    words = ["exam", str(tmp_path / "made.mp4"), "--world", "shapes", "-o", str(tmp_path / "x.webp")]
    assert command_line.main([*words, "--captions", str(tmp_path / "asked.txt")]) == 0
    exam._loaded.cache_clear()
    exam._standard_yardstick.cache_clear()
    shown = capsys.readouterr().out
    values = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if len(line.split()) > 4}
    assert float(values["asked_jointly"][0]) > 0.9 and float(values["copies"][0]) == 1
    assert (tmp_path / "x.webp").is_file()
    assert command_line.main([*words, "--captions", str(tmp_path / "x.webp")]) == 1
    assert "can't be read as a text file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, said",
    [
        ([], "Say what to examine"),
        (["nothing"], "nothing is no model of the zoo; of videos, say what they show: --world"),
        (["nothing", "--world", "shapes"], "There is no file or folder"),
        (["judge-faces"], "looks at clips and makes none"),
    ],
)
def test_mistakes_are_told_in_a_sentence(words, said, capsys):
    assert command_line.main(["exam", *words]) == 1
    assert re.match(f"error: .*{said}", capsys.readouterr().err)


def test_every_measure_is_explained(capsys):
    assert command_line.main(["exam", "--measures"]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines()] == list(exam.MEASURES)
