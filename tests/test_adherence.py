"""Prompt adherence: what real clips show is right, what others show is not, each attribute apart; and its curve in training."""

import dataclasses

import numpy as np
import pytest

from vidgen_tf.errors import CourseError
from vidgen_tf.evaluation import adherence
from vidgen_tf.pipelines.text_to_video import evaluation_prompts
from vidgen_tf.worlds import shapes
from vidgen_tf.zoo.experiments import read_rows


@pytest.mark.parametrize("dataset", ["digits", "shapes"])
def test_real_clips_show_what_their_prompts_say_and_others_do_not(dataset):
    clips, _ = evaluation_prompts(dataset, 100, "validation")
    right = adherence.prompt_accuracy(clips.frames, dataset, clips)
    joint = right.pop("joint_accuracy")
    attributes = {"digits": {"digit", "motion"}, "shapes": {"color", "shape", "size", "motion"}}[dataset]
    assert set(right) == {f"{name}_accuracy" for name in attributes}
    assert joint.dtype == bool and joint.mean() > 0.95
    np.testing.assert_array_equal(joint, np.all(list(right.values()), axis=0))
    wrong = adherence.prompt_accuracy(np.roll(clips.frames, 1, axis=0), dataset, clips)
    assert wrong["joint_accuracy"].mean() < 0.15
    for captions in (clips.captions, clips.captions_zh):  # prompts name the same states
        again = adherence.prompt_accuracy(clips.frames, dataset, captions)
        np.testing.assert_array_equal(again["joint_accuracy"], joint)


@pytest.mark.parametrize("name", ["color", "shape", "size", "motion"])
def test_an_attribute_that_differs_is_the_one_that_is_wrong(name):
    clips = shapes.make(200, seed=8)
    clips = clips[clips.states["objects"] == 1][:100]
    states = dict(clips.states)
    count = {"color": 6, "shape": 3, "size": 2, "motion": 6}[name]
    changed = (states[name] + 1) % count
    right = adherence.prompt_accuracy(clips.frames, "shapes", states | {name: np.where(states[name] < 0, -1, changed)})
    others = [key for key in right if key not in (f"{name}_accuracy", "joint_accuracy")]
    assert right[f"{name}_accuracy"].mean() < 0.05 and right["joint_accuracy"].mean() < 0.05
    if name != "color":  # shape, size and motion are those of the object of the right colour
        assert all(right[key].mean() > 0.95 for key in others)


def test_prompts_that_can_not_be_measured_are_refused():
    clips = shapes.make(100, seed=3)
    with pytest.raises(CourseError, match="of clips of shapes and digits, given their prompts, not of 'faces'"):
        adherence.prompt_accuracy(np.zeros((100, 2, 32, 32, 3), np.uint8), "faces", None)
    for wrong in (clips.captions[:99], {"color": clips.states["color"]}):
        with pytest.raises(CourseError, match="100 clips need as many prompts: captions, or the states objects, color"):
            adherence.prompt_accuracy(clips.frames, "shapes", wrong)
    with pytest.raises(CourseError, match="is no caption of this world"):
        adherence.prompt_accuracy(clips.frames, "shapes", ["3 left"] * 100)
    assert adherence.conditioning_states(clips, "shapes-64", 100) is None, "a data set without a tracker"


def test_accuracies_are_means_over_sampled_clips(monkeypatch):
    clips, prompts = evaluation_prompts("shapes", 100, "validation")
    asked = []
    monkeypatch.setattr(adherence, "sample_captions", lambda *arguments, **options: asked.append((arguments, options)) or frames)
    frames = clips.frames.copy()
    frames[:30] = shapes.BACKGROUND
    scores = adherence.adherence_scores("model", "vae", clips, prompts, 2.5, seed=4, num_inference_steps=3)
    assert asked == [(("model", "vae", prompts, 2.5, 4), {"num_inference_steps": 3})]
    expected = adherence.prompt_accuracy(frames, "shapes", clips)
    assert scores == {name: value.mean() for name, value in expected.items()} and 0.6 < scores["joint_accuracy"] <= 0.7


def test_a_curve_goes_on_where_its_training_goes_on(tmp_path):
    """A killed run may have measured beyond its checkpoint: what lies there is measured again."""
    path, values = tmp_path / "curve.json", iter([0.1, 0.2, 0.3, 0.25, 0.4])

    def run(epochs):
        curve = adherence.AccuracyCurve(lambda: {"share": next(values)}, eval_interval=100, path=path)
        curve.set_params({"steps": 50})
        curve.on_train_begin()
        for epoch in epochs:
            curve.on_epoch_end(epoch)
        return curve.rows

    assert run(range(7)) == [{"step": 100, "share": 0.1}, {"step": 200, "share": 0.2}, {"step": 300, "share": 0.3}]
    rows = run(range(4, 8))
    assert [row["share"] for row in rows] == [0.1, 0.2, 0.25, 0.4] and read_rows(path) == rows
    path.write_text("[1]")
    with pytest.raises(CourseError, match="curve.json is damaged: delete it"):
        run(range(1))


def test_labelled_clips_carry_the_name_of_their_data_set():
    clips = shapes.make(3, seed=1)
    assert clips.world == "shapes" and dataclasses.replace(clips, frames=clips.frames).world == "shapes"
