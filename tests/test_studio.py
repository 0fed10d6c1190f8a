"""vidgen_tf/studio: prompts, uploads, jobs, the history on disk, and what the models make; the page is in test_studio_page.py."""

import itertools
import json
import threading

import numpy as np
import pytest
from PIL import Image

from vidgen_tf.errors import CourseError
from vidgen_tf.evaluation.image_to_video import DRAWINGS
from vidgen_tf.pipelines.pictures import draw_strokes
from vidgen_tf.studio import makers, texts
from vidgen_tf.studio.history import History, finish
from vidgen_tf.studio.jobs import Result, Step, Stopped, iter_steps
from vidgen_tf.studio.labels import DETECTED, inspect_file
from vidgen_tf.studio.prompts import check_prompt, nearest_words, replace_word, unknown_words
from vidgen_tf.studio.uploads import read_clip, read_picture
from vidgen_tf.video import Clip

RNG = np.random.default_rng(0)
COLORS = ("red", "black")
FACE = json.loads(DRAWINGS.read_text())[0]
RESULT = Result(Clip(np.full((3, 32, 32, 1), 90, np.uint8), caption="x"), "a prompt", {"task": "t", "models": ["m"], "seed": 4})


@pytest.mark.parametrize(
    "prompt, words",
    [
        ("", "Write what to show"),
        (" \n\t ", "Write what to show"),
        (None, "Write what to show"),
        ("red circle " * 5000, "55000|59999|54999"),
        ("a sircle falls", "sircle → circle"),
        ("a zebra falls", "zebra → "),
        ("一只猫下落", "猫 → "),
        ("a red blue circle falls", "contradicts itself"),
        ("a circle and a square and a triangle", "more than 2"),
        ("the digit 3 is a red circle", "mixes"),
        ("falls", None),
        ("up", "names neither"),
        ("\u202e\x00<script>${alert(1)}{{x}}", "never saw"),
    ],
)
def test_a_prompt_that_cannot_be_made_gets_one_sentence(prompt, words):
    if words is None:
        assert check_prompt(prompt) == "shapes"
        return
    with pytest.raises(CourseError, match=words) as refused:
        check_prompt(prompt)
    for language in texts.LANGUAGES:
        sentence = texts.explain(refused.value, language)
        assert 10 < len(sentence) < 500 and "\n" not in sentence and "\x00" not in sentence


def test_the_nearest_known_words_are_suggested():
    assert nearest_words("cirle")[0] == "circle" and nearest_words("purpel")[0] == "purple"
    assert "圆形" in nearest_words("圆") and nearest_words("猫") == [] and nearest_words("qqqq") == []
    assert unknown_words("A Red dog and a dog, an 圆形 falls") == ["dog", "，"] or unknown_words("A Red dog and a dog") == ["dog"]
    assert (
        check_prompt("A large RED circle falls and bounces") == "shapes" and check_prompt("数字7先向左再向右移动。") == "digits"
    )


def test_a_word_is_replaced_once_and_only_where_it_stands():
    assert replace_word("a red circle and a red square", "red", "green") == "a green circle and a red square"
    with pytest.raises(CourseError, match="doesn't occur"):
        replace_word("a red circle", "blue", "green")
    with pytest.raises(CourseError, match="greeen → green"):
        replace_word("a red circle", "red", "greeen")


def test_every_text_is_there_in_both_languages():
    fields = dict.fromkeys(texts.TEXTS)
    for key, pair in texts.TEXTS.items():
        named = [{part.split("}")[0].split(":")[0] for part in text.split("{")[1:]} for text in pair]
        fields[key] = named
        assert len(pair) == 2 and all(pair) and named[0] == named[1], key
        assert key == "refused" or any("\u4e00" <= sign <= "\u9fff" for sign in pair[1]), key


def test_an_error_of_a_library_shows_no_path():
    assert texts.explain(OSError("/home/someone/secret"), "English").count("/") == 0


def picture(path, size=(90, 60), **options):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)).save(path, **options)
    return path


def test_pictures_become_squares(tmp_path):
    for suffix in (".png", ".jpg", ".webp", ".gif", ".bmp"):
        assert read_picture(picture(tmp_path / f"a{suffix}"), 64).shape == (64, 64, 3)
    Image.new("LA", (40, 50)).save(tmp_path / "grey.png")
    assert read_picture(tmp_path / "grey.png", 32).shape == (32, 32, 3)


def test_files_that_are_no_pictures_get_one_sentence(tmp_path):
    cases = {
        "a.txt": b"text",
        "a.png": b"text",
        "a.exe": b"MZ",
        "a.svg": b"<svg/>",
        "a.jpg": b"",
        "noname": b"x",
        "b.gif": b"GIF89a",
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(texts.Refused, match="of a type|can't be read") as refused:
            read_picture(tmp_path / name, 64)
        assert str(tmp_path) not in str(refused.value)
    whole = picture(tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(texts.Refused, match="can't be read"):
        read_picture(tmp_path / "cut.png", 64)


def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    for side, words in ((10_000, "100 megapixels"), (14_000, "megapixels")):
        Image.new("1", (side, side)).save(tmp_path / "huge.png")
        with monkeypatch.context() as patch:
            patch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
            with pytest.raises(texts.Refused, match=words):
                read_picture(tmp_path / "huge.png", 64)


def test_of_a_long_clip_only_the_beginning_is_read(tmp_path, monkeypatch):
    frames = np.random.default_rng(0).integers(0, 255, (40, 64, 64, 3), np.uint8)
    Clip(frames, fps=8).save(tmp_path / "long.mp4")
    assert read_clip(tmp_path / "long.mp4", 64, 16).shape == (16, 64, 64, 3)
    Clip(frames[:5], fps=8).save(tmp_path / "short.gif")
    with pytest.raises(texts.Refused, match="shorter than the 2 seconds"):
        read_clip(tmp_path / "short.gif", 64, 16)


def test_a_job_shows_its_steps_and_then_its_results():
    seen = list(iter_steps(lambda on_step: [on_step(Step(i, 3)) for i in range(3)] and ["made"], threading.Event()))
    assert [step.done for step in seen[:-1]] == [0, 1, 2] and seen[-1] == ["made"]


def test_a_job_stops_at_its_next_step_and_when_nobody_listens():
    reached, stop = [], threading.Event()

    def endless(on_step):
        for i in itertools.count():
            reached.append(i)
            on_step(Step(i, 10))
            stop.wait(0.001)

    steps = iter_steps(endless, stop)
    next(steps)
    stop.set()
    with pytest.raises(Stopped):
        list(steps)
    again = threading.Event()
    steps = iter_steps(endless, again)
    next(steps)
    steps.close()
    assert again.is_set()


def test_what_a_job_raises_arrives():
    def fails(on_step):
        raise CourseError("no")

    with pytest.raises(CourseError, match="no"):
        list(iter_steps(fails, threading.Event()))


def test_results_outlive_the_server_whole_and_labelled(tmp_path):
    entry = History(tmp_path).add(RESULT, "top left")
    (tmp_path / ".part-20260101-000000-00000000").mkdir()
    (tmp_path / "20260101-000000-00000000").mkdir()  # no record in it
    (tmp_path / "something else").mkdir()
    again = History(tmp_path)
    assert again.entries() == [entry] and not list(tmp_path.glob(".part*"))
    assert set(entry.files) == {".mp4", ".gif", ".webp", ".png"} and again.usage()[0] == 1
    for path in entry.files.values():
        found = inspect_file(path)
        assert found["watermark"] > DETECTED and found["aigc"]["ProduceID"] == entry.id
    record = json.loads((tmp_path / entry.id / "record.json").read_text())
    assert record["title"] == "a prompt" and record["settings"]["seed"] == 4
    still = again.add(Result(Clip(RESULT.clip.frames[:1]), "still", {}))
    assert set(still.files) == {".png", ".webp"} and again.entries()[0] in (still, entry)


@pytest.mark.parametrize(
    "name", ["..", "../x", "/etc/passwd", "20260101-000000-00000000/..", "", None, "20260101-000000-zzzzzzzz"]
)
def test_no_other_name_is_looked_up(name, tmp_path):
    with pytest.raises(CourseError, match="no such result"):
        History(tmp_path).get(name)


def test_a_result_that_fails_to_be_written_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("vidgen_tf.studio.history.write_label", lambda *_: (_ for _ in ()).throw(CourseError("full")))
    with pytest.raises(CourseError, match="full"):
        History(tmp_path).add(RESULT)
    assert list(tmp_path.iterdir()) == []


def test_a_full_history_takes_nothing_more_and_loses_nothing(tmp_path):
    entry = History(tmp_path, 1000).add(RESULT)
    full = History(tmp_path, full_at := History(tmp_path).usage()[1])
    with pytest.raises(CourseError, match="history is full.*--history-limit"):
        full.add(RESULT)
    assert [each.id for each in full.entries()] == [entry.id] and full.usage() == (1, full_at)


def test_what_leaves_the_studio_is_large_enough_and_marked():
    clip = finish(Clip(np.zeros((2, 64, 64, 3), np.uint8), fps=6), "bottom left")
    assert clip.frames.shape == (2, 256, 256, 3) and clip.fps == 6 and clip.frames[:, 200:, :100].max() > 250


def no_steps(step):
    assert step.done <= step.total


def test_text_to_video_is_that_of_the_pipeline_and_shows_each_step():
    from vidgen_tf.pipelines.text_to_video import text_to_video

    steps, prompt = [], "a small blue square moves left and a large yellow triangle moves up"
    (result,) = makers.prompt_to_video(prompt, 3, None, steps.append)
    assert np.array_equal(result.clip.frames, text_to_video([prompt], 3)[0].frames), "watching changes nothing"
    assert [step.done for step in steps] == list(range(1, 41)) and {step.total for step in steps} == {40}, (
        "two objects, 20 steps each"
    )
    assert all(step.preview.frames.shape == (16, 32, 32, 3) for step in steps)
    last, first = (np.abs(s.preview.frames.astype(int) - steps[19].preview.frames).mean() for s in (steps[18], steps[0]))
    assert last < first / 4, "previews settle"
    (still,) = makers.prompt_to_picture(prompt, 3, 16, no_steps)
    assert np.array_equal(still.clip.frames, result.clip.frames[15:])


def test_stopping_reaches_into_the_sampler():
    steps = []

    def on_step(step):
        steps.append(step)
        if len(steps) == 2:
            raise Stopped

    with pytest.raises(Stopped):
        makers.prompt_to_video("a red circle falls", 0, None, on_step)
    assert len(steps) == 2


def test_faces_begin_with_the_picture_that_was_given(tmp_path):
    person = makers.people(64).frames[1, 0]
    Image.fromarray(person).save(tmp_path / "face.png")
    (drawn,) = makers.transfer_motion(None, 2, None, 3, no_steps)
    (own,) = makers.transfer_motion(str(tmp_path / "face.png"), 1, None, 3, no_steps)
    assert np.array_equal(drawn.clip.frames, own.clip.frames) and np.array_equal(own.clip.frames[0], person)
    assert drawn.is_composite and "face.png" not in own.title
    (smiling,) = makers.image_to_video(None, 2, "smile", 0, no_steps)
    assert smiling.clip.frames.shape == (16, 64, 64, 3) and np.array_equal(smiling.clip.frames[0], person)


def test_a_drawing_is_coloured_as_asked_and_moves(tmp_path):
    drawing = np.repeat(draw_strokes(FACE)[..., None], 3, axis=-1)
    Image.fromarray(drawing).resize((700, 700)).save(tmp_path / "drawing.png")
    results = [
        makers.sketch_to_video(str(tmp_path / "drawing.png"), f"{hair} hair, surprised", 1, no_steps)[0] for hair in COLORS
    ]
    for result in results:
        assert result.clip.frames.shape == (16, 64, 64, 3) and result.clip.frames[8:].std(axis=0).max() > 5
    red, black = (result.clip.frames[0].astype(float) for result in results)
    assert (red - black)[:24].mean() > 5, "lighter hair"
    with pytest.raises(CourseError, match="never saw"):
        makers.sketch_to_video(str(tmp_path / "drawing.png"), "a zebra", 1, no_steps)
    Image.new("RGBA", (400, 400), (0, 0, 0, 0)).save(tmp_path / "empty.png")
    for nothing in (None, str(tmp_path / "empty.png")):
        with pytest.raises(CourseError, match="no drawing"):
            makers.sketch_to_video(nothing, "", 1, no_steps)


def test_a_clip_is_drawn_in_a_style_or_in_that_of_a_picture(tmp_path):
    Image.fromarray(RNG.integers(0, 255, (90, 70, 3)).astype(np.uint8)).save(tmp_path / "look.png")
    previews = []
    (named,) = makers.stylize_clip(None, 2, "woodcut", None, previews.append)
    (own,) = makers.stylize_clip(None, 2, "woodcut", str(tmp_path / "look.png"), no_steps)
    assert named.clip.frames.shape == own.clip.frames.shape == (16, 128, 128, 3)
    assert [step.done for step in previews] == list(range(17)) and len(previews[-1].preview) == 16
    assert np.abs(named.clip.frames.astype(float) - own.clip.frames).mean() > 5 and "look.png" not in own.title


@pytest.mark.parametrize("name", makers.PREDICTORS)
def test_what_was_given_has_no_edge_and_what_is_predicted_has_one(name):
    (result,) = makers.predict_next(name, 5, 0, no_steps)
    has_edge = (result.clip.frames[:, 0] == makers.EDGE).all(axis=(1, 2))
    assert has_edge.tolist() == [i >= makers.PREDICTORS[name] for i in range(len(result.clip))]


def test_scenes_and_people_are_in_no_training():
    from vidgen_tf.datasets import DATASETS, DRAWN

    seeds = {each.seed + i for each in (*DATASETS.values(), *DRAWN.values()) for i in range(3)}
    assert not seeds & {each.seed + i for each in makers.SCENES.values() for i in range(3)}


@pytest.mark.parametrize(
    "call",
    [
        lambda: makers.image_to_video(None, 13, "smile", 0, no_steps),
        lambda: makers.image_to_video(None, 1, "anger", 0, no_steps),
        lambda: makers.transfer_motion(None, 1, None, 0, no_steps),
        lambda: makers.stylize_clip(None, 1, "cubism", None, no_steps),
        lambda: makers.stylize_clip(None, 0, "woodcut", None, no_steps),
        lambda: makers.predict_next("vae-digits", 1, 0, no_steps),
        lambda: makers.predict_next("svg-digits", 0, 0, no_steps),
        lambda: makers.prompt_to_picture("a red circle falls", 0, 17, no_steps),
        lambda: makers.compare_models("a red circle falls", 0, no_steps),
        lambda: makers.prompt_to_video("a red circle falls", 0, 21, no_steps),
    ],
)
def test_what_no_model_can_do_is_refused(call):
    with pytest.raises(CourseError):
        call()
