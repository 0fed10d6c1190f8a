"""Captions: words and back, what the model never saw, and what is left out."""

import keras
import numpy as np
import pytest

from vidgen_tf import datasets, training
from vidgen_tf.errors import CourseError
from vidgen_tf.models import text
from vidgen_tf.worlds import digits, shapes

ENGLISH = "a small red circle falls and bounces and a large blue square moves left"
CHINESE = "一个小的红色圆形下落并弹起，一个大的蓝色正方形向左移动"


@pytest.fixture(scope="module")
def clips():
    return {name: datasets.load(name, "validation", 500) for name in ("digits", "shapes")}


@pytest.mark.parametrize("name", ["digits", "shapes"])
@pytest.mark.parametrize("language", ["captions", "captions_zh"])
def test_captions_come_back_from_their_ids_and_say_what_made_them(clips, name, language):
    written = getattr(clips[name], language)
    ids = text.tokenize(written)
    assert ids.shape == (500, text.LENGTH) and ids.dtype == np.int32
    assert 0 <= ids.min() and ids.max() <= text.VOCABULARY
    again = text.detokenize(ids)
    assert again == written.tolist()
    states = {"digits": digits, "shapes": shapes}[name].from_captions(again)
    for key, value in states.items():
        np.testing.assert_array_equal(value, clips[name].states[key], err_msg=key)
    assert {text.world_of_prompt(caption) for caption in written[:100]} == {name}


def test_digits_that_wander_have_words_too():
    clips = digits.make_canonical(50, seed=1, size=32, frames=16, digits=1)
    for written in (clips.captions, clips.captions_zh):
        assert text.detokenize(text.tokenize(written)) == written.tolist()


def test_every_word_is_there_once_and_is_used(clips):
    assert len(set(text.WORDS)) == len(text.WORDS)
    used = {word for part in clips.values() for row in (*part.captions, *part.captions_zh) for word in text.words_of(row)}
    assert set(text.WORDS) - used == {"在"}, "which the captions of digits that wander have"
    assert text.OF_BOTH | text.OF_DIGITS | text.OF_SHAPES == set(text.WORDS)


def test_the_phrase_is_part_of_the_id():
    (one, other) = text.tokenize(["the digit 3 is moving up then down .", "the digit 3 is moving down then up ."])
    assert sorted(one) != sorted(other), "as a bag of words without phrases they would be the same"
    red_first, red_second = text.tokenize(["a red circle and a green circle collide", "a green circle and a red circle collide"])
    assert sorted(red_first) != sorted(red_second)


@pytest.mark.parametrize("prompt", ["A Red circle FALLS", "an red circle, falls", "ａ red circle falls"])
def test_prompts_are_read_as_people_write_them(prompt):
    words = text.words_of(prompt)
    assert [word for word in words if word != "，"] == ["a", "red", "circle", "falls"]


def test_a_word_never_seen_is_named_and_the_known_ones_are_listed():
    with pytest.raises(CourseError) as error:
        text.tokenize([ENGLISH, "a pink cat falls"])
    message = str(error.value)
    assert "never saw: pink cat." in message and all(word in message.split() for word in text.WORDS)
    with pytest.raises(CourseError, match="never saw: 12"):
        text.tokenize(["the digit 12 is moving up"])
    with pytest.raises(CourseError, match="never saw: 猫"):
        text.tokenize(["一个红色猫下落"])
    with pytest.raises(CourseError, match="more than 2 things"):
        text.tokenize(["a red circle falls and a blue square falls and a green triangle falls"])
    with pytest.raises(CourseError, match="at most 20"):
        text.tokenize(["the " * 21])


def test_a_prompt_belongs_to_one_world():
    assert text.world_of_prompt("the digit 3 is moving") == text.world_of_prompt("数字3先向上再向下移动") == "digits"
    assert text.world_of_prompt("red circle") == text.world_of_prompt("红色圆形下落") == "shapes"
    with pytest.raises(CourseError, match="mixes 3 and red"):
        text.world_of_prompt("red 3")
    with pytest.raises(CourseError, match="neither a digit nor a shape"):
        text.world_of_prompt("left")


def test_an_attribute_is_left_open_in_both_languages():
    assert text.detokenize(text.without(text.tokenize([ENGLISH, CHINESE]), "color")) == [
        "a small circle falls and bounces and a large square moves left",
        "一个小的圆形下落并弹起，一个大的正方形向左移动",
    ]
    ids = text.tokenize([ENGLISH])
    assert not text.without(ids, "all").any()
    np.testing.assert_array_equal(text.without(ids, "digit"), ids)
    with pytest.raises(CourseError, match="not for 'colour'"):
        text.without(ids, "colour")


def tells(kinds=tuple(text.ATTRIBUTES)[:-1]):
    """Ids of the words that tell something, or one of some kinds."""
    ids = np.arange(1, text.VOCABULARY + 1)
    names = np.array(list(text.ATTRIBUTES))[text.KINDS[(ids - 1) % len(text.WORDS)]]
    return ids[np.isin(names, kinds)]


def encoder(**rates):
    training.set_seed(1)
    layer = text.CaptionEncoder(6, **rates)
    layer(text.tokenize([ENGLISH]))
    return layer


def test_a_words_vector_does_not_depend_on_the_others():
    layer = encoder()
    whole, partial = text.tokenize([ENGLISH]), text.without(text.tokenize([ENGLISH]), "color")
    vectors, said, together = (np.asarray(part) for part in layer(whole))
    fewer, still_said, less = (np.asarray(part) for part in layer(partial))
    kept, open_ = np.isin(partial[0], tells()), np.isin(whole[0], tells(["color"]))
    np.testing.assert_array_equal(vectors[0, kept], fewer[0, kept])
    np.testing.assert_array_equal(said, np.isin(whole, tells()))
    np.testing.assert_array_equal(still_said, np.isin(partial, tells()))
    assert not fewer[0, ~kept].any()
    colours = vectors[0, open_].sum(axis=0) / 4  # what they add to the summary is linear
    np.testing.assert_allclose(together[0, 0] - less[0, 0], colours @ layer.together.kernel, atol=1e-5)


def test_words_are_left_out_by_attribute_and_phrase_in_training_alone():
    ids = np.repeat(text.tokenize([ENGLISH]), 4000, axis=0)
    layer = encoder(one=0.2, whole=0.1)
    kept = np.asarray(layer.left_out(ids)) > 0
    words = text.words_of(ENGLISH)
    share = {(word, words[:i].count(word)): kept[:, i].mean() for i, word in enumerate(words)}
    for word in ("a", "red", "blue", "small", "falls", "left"):
        assert share[word, 0] == pytest.approx(0.9 * 0.8 * 0.8, abs=0.03)
    falls, bounces = kept[:, words.index("falls")], kept[:, words.index("bounces")]
    np.testing.assert_array_equal(falls, bounces)  # one motion
    red, blue, circle = (kept[:, words.index(word)] for word in ("red", "blue", "circle"))
    left = kept.any(axis=1)
    assert np.mean(~red[left] & ~blue[left]) == pytest.approx(0.2 + 0.8 * 0.2**2, abs=0.03), "the colours go together"
    assert np.mean(~red[left] & ~circle[left]) == pytest.approx(0.36**2, abs=0.03), "and apart from the shapes"
    said = np.asarray(layer(ids)[1])
    np.testing.assert_array_equal(said, np.isin(ids, tells()))
    assert np.asarray(layer(ids, training=True)[1]).mean() < said.mean()


def test_words_that_tell_nothing_are_not_listened_to():
    layer = encoder()
    for short, long in (("3", "the digit 3 is moving ."), ("red circle 下落", "a red circle 下落 and"), ("", "the")):
        one, other = (layer(text.tokenize([caption])) for caption in (short, long))
        np.testing.assert_allclose(one[2], other[2], atol=1e-6)
        heard = [sorted(np.asarray(vectors)[0, np.asarray(said)[0] > 0].tolist()) for vectors, said, _ in (one, other)]
        assert heard[0] == heard[1], short


def test_other_draws_each_time():
    ids = np.repeat(text.tokenize([CHINESE]), 50, axis=0)
    layer = encoder()
    assert (np.asarray(layer.left_out(ids)) != np.asarray(layer.left_out(ids))).any()
    assert isinstance(layer.seed_generator, keras.random.SeedGenerator)


def test_phrases_change_places():
    ids = text.tokenize(["a red circle falls and a blue square moves left", "a red circle", ""])
    turned = text.exchanged(ids)
    assert (turned > 0).tolist() == (ids > 0).tolist() and text.phrases(ids).tolist() == [2, 1, 0]
    np.testing.assert_array_equal(text.exchanged(turned), ids)
    assert text.detokenize(turned) == text.detokenize(ids) and (turned[1, :3] == ids[1, :3] + len(text.WORDS)).all()
    assert text.phrases(turned).tolist() == [2, 2, 0]
