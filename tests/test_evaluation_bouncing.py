"""Physics in and out of the training distribution: what a perfect predictor and one that predicts no motion score."""

import functools
import inspect

import numpy as np
import pytest

from vidgen_tf import zoo
from vidgen_tf.evaluation.bouncing import (
    GROUPS,
    SCORED,
    SWEEPS,
    TRAINED,
    bouncing_clips,
    compare_groups,
    physics_rows,
    response_slopes,
    sweep,
)
from vidgen_tf.evaluation.report import print_table
from vidgen_tf.pipelines.prediction import rollout
from vidgen_tf.recipes.predictors import STREAMS
from vidgen_tf.worlds import spheres


def truth(seed):
    """A predictor that knows the future of the clips of a seed."""
    known = np.concatenate([bouncing_clips(group, 12, seed).frames for group in GROUPS])

    def predict(context, ahead):
        distance = np.abs(known[:, None, : context.shape[1]].astype(int) - context[None]).sum(axis=(2, 3, 4, 5))
        return known[distance.argmin(axis=0), -ahead:]

    return predict


def test_groups_lie_outside_of_the_training_range_in_what_their_name_says():
    parameters = inspect.signature(spheres.make_bouncing).parameters
    trained = {key: parameters[key].default for key in ("radius", "speed", "drop")}
    assert trained == TRAINED
    assert "radius" not in STREAMS["bouncing-spheres"], "the recipe trains on the ranges that are the function's own"
    outside = {}
    for group, ranges in GROUPS.items():
        for name, (low, high) in ranges.items():
            if high < trained[name][0] or low > trained[name][1]:
                outside.setdefault(group, []).append(name)
            else:
                assert trained[name][0] <= low and high <= trained[name][1], "otherwise within"
    assert outside == {"slower": ["speed"], "faster": ["speed"], "higher": ["drop"], "smaller": ["radius"], "larger": ["radius"]}


def test_clips_of_all_groups_have_the_same_colours_and_directions():
    clips = [bouncing_clips(group, 30) for group in GROUPS]
    for one in clips[1:]:
        np.testing.assert_array_equal(one.states["color"], clips[0].states["color"])
        np.testing.assert_array_equal(*(np.sign(some.states["velocity"][:, 0, 0, 0]) for some in (one, clips[0])))


def test_a_perfect_predictor_keeps_all_laws_and_a_copy_of_the_last_frame_none(capsys):
    found = compare_groups(truth(5), 12, 4, seed=5)
    assert found.keys() == GROUPS.keys()
    for kinds in found.values():
        assert set(kinds["real"]) == {*SCORED, "speed_error"}
        for name in SCORED:
            np.testing.assert_array_equal(kinds["prediction"][name], kinds["real"][name])
        assert np.abs(kinds["real"]["speed_error"]).max() < 0.01
        real, copied = kinds["real"], kinds["copy of the last frame"]
        assert real["position_error"].max() < 0.2 and copied["position_error"].min() > 0.7
        assert np.abs(copied["speed_ratio"]).max() < 1e-6 and np.abs(copied["gravity_ratio"]).max() < 1e-6
        assert abs(real["gravity_ratio"].mean() - 1) < 0.05 and (real["radius_ratio"] == 1).all()
    print_table(physics_rows(found))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 2 * len(GROUPS) and "in distribution" in lines[1] and " 0.80" in lines[2] and "+- 0.00" in lines[2]


def test_what_is_not_seen_is_a_dash():
    rows = physics_rows(compare_groups(lambda context, ahead: np.repeat(0 * context[:, :1], ahead, axis=1), 3, 4, ["faster"]))
    assert rows[0]["position_error"] == "-" and rows[1]["position_error"].startswith("0.1")


@pytest.mark.parametrize("quantity", SWEEPS)
def test_a_sweep_tells_a_law_from_a_memory_of_cases(quantity):
    def lawful(context, ahead):
        return spheres.make_bouncing(len(context), seed=6, **SWEEPS[quantity]).frames[:, -ahead:]

    law = sweep(lawful, quantity, 120, 4, seed=6)
    np.testing.assert_array_equal(law["prediction"], law["real"])
    slopes = response_slopes(law)
    assert all(abs(slope.value - 1) < 0.12 and slope.high - slope.low < 0.35 for slope in slopes.values()), slopes
    assert set(slopes) >= {"inside", "above"}
    nearest = law | {"prediction": np.clip(law["true"], *law["trained"])}
    slopes = response_slopes(nearest)
    assert abs(slopes["inside"].value - 1) < 1e-9 and abs(slopes["above"].value) < 1e-9


def test_the_shipped_predictor_is_lawful_in_its_distribution_and_slows_down_what_is_faster():
    model, num_context_frames = zoo.load("simvp-spheres"), zoo.record("simvp-spheres")["sampling"]["num_context_frames"]
    groups = ("in_distribution", "slower", "faster")
    found = compare_groups(functools.partial(rollout, model), 60, num_context_frames, groups, seed=7)
    means = {g: {name: np.nanmean(value) for name, value in kinds["prediction"].items()} for g, kinds in found.items()}
    within = means["in_distribution"]
    assert within["position_error"] < 0.25 * found["in_distribution"]["copy of the last frame"]["position_error"].mean()
    assert abs(within["speed_error"]) < 0.01 and abs(within["gravity_ratio"] - 1) < 0.1
    assert abs(within["restitution"] - spheres.RESTITUTION[0]) < 0.05 and within["color_preserved"] > 0.95
    assert means["faster"]["speed_error"] < -0.04 and abs(means["slower"]["speed_error"]) < 0.03
    expected = zoo.record("simvp-spheres")["scores"]["restitution_in_distribution"]
    assert within["restitution"] == pytest.approx(expected, abs=0.02)
