"""Captions in many forms say what is there, the same in both languages, and tests have forms of their own."""

import re

import numpy as np
import pytest

from vidgen_tf.errors import CourseError
from vidgen_tf.worlds import faces
from vidgen_tf.worlds.paraphrases import SPLITS, draw_states, forms, paraphrase

COUNT = 400


@pytest.fixture(scope="module")
def states():
    return {world: draw_states(world, COUNT, seed=3) for world in ("faces", "spheres", "shapes", "digits")}


@pytest.mark.parametrize("world", ["faces", "spheres", "shapes", "digits"])
def test_there_are_two_hundred_forms_and_tests_have_others_than_training(world):
    train, test = (forms(world, split) for split in SPLITS)
    assert len(train) + len(test) >= 200 and len(test) >= 40
    assert not {*map(tuple, train)} & {*map(tuple, test)}
    for column in range(train.shape[1]):  # a form is new as a whole: no word of it is
        assert {*test[:, column]} <= {*train[:, column]}


@pytest.mark.parametrize("world", ["faces", "spheres", "shapes", "digits"])
def test_no_caption_of_a_test_form_is_among_those_of_training(states, world):
    captions = {split: paraphrase(states[world], world, seed=1, split=split)[0] for split in SPLITS}
    assert len({*captions["train"]}) > COUNT / 2
    shared = {*captions["train"]} & {*captions["test"]}
    at_most = {"faces": 0, "digits": 0, "spheres": 0.12, "shapes": 0.12}  # of a thing alone, two forms can read alike
    assert len(shared) <= at_most[world] * COUNT


def test_a_caption_does_not_depend_on_the_others_nor_changes_with_the_call(states):
    all_of_them, _, said = paraphrase(states["faces"], "faces", seed=2)
    few, _, said_of_few = paraphrase({name: value[:5] for name, value in states["faces"].items()}, "faces", seed=2)
    assert few.tolist() == all_of_them[:5].tolist()
    assert all(np.array_equal(said[name][:5], value) for name, value in said_of_few.items())
    other, _, _ = paraphrase(states["faces"], "faces", seed=3)
    assert np.mean(other == all_of_them) < 0.05


def test_what_is_said_of_a_face_is_true_and_in_the_caption(states):
    english, chinese, said = paraphrase(states["faces"], "faces", seed=4)
    true = states["faces"] | {"has_glasses": states["faces"]["glasses"] > 0}
    for name, value in said.items():
        assert np.all((value < 0) | (value == true[name]))
    for i in range(COUNT):
        colour = said["hair_colour"][i]
        named = [word for word in faces.HAIR_COLOURS if word in re.findall("[a-z]+", english[i])]
        assert named == ([faces.HAIR_COLOURS[colour]] if colour >= 0 else [])
        assert ("glasses" in english[i]) == (said["has_glasses"][i] >= 0) == ("眼镜" in chinese[i])
        assert ("no glasses" in english[i]) == (said["has_glasses"][i] == 0) == ("没戴眼镜" in chinese[i])
        assert ("beard" in english[i]) == (said["beard"][i] >= 0) == ("胡子" in chinese[i])


def test_attributes_are_left_out_now_and_then_but_never_all(states):
    _, _, said = paraphrase(states["faces"], "faces", seed=5)
    traits = np.stack([said[name] for name in ("hair_style", "has_glasses", "beard")])
    assert 0.1 < np.mean(traits[0] < 0) < 0.3
    assert np.all((traits >= 0).any(axis=0)) and np.all(said["expression"] >= 0)


def test_who_passes_behind_whom_is_told_in_every_form(states):
    english = paraphrase(states["spheres"], "spheres", seed=6)[0]
    things = states["spheres"]
    behind = [i for i in range(COUNT) if "behind" in english[i] or "hides" in english[i]]
    assert len(behind) > 10
    for i in behind:
        mover, other = (["red", "green", "blue", "yellow", "purple", "orange"][k] for k in things["color"][i])
        if mover == other:
            continue
        first, second = (re.search(rf"\b{colour}\b", english[i]).start() for colour in (mover, other))
        swapped = "hides" in english[i] or "rests while" in english[i]  # the one in front is named first there
        assert (second < first) == swapped, english[i]


@pytest.mark.parametrize("world, split", [("cars", "train"), ("faces", "validation")])
def test_another_world_or_split_is_refused(states, world, split):
    with pytest.raises(CourseError, match="forms"):
        paraphrase(states["faces"], world, seed=0, split=split)
