"""The encoder of captions: what a word's vector depends on, and what is left out in training."""

import keras
import numpy as np
import pytest

from vidgen_tf import training
from vidgen_tf.models import text

ENGLISH = "a small red circle falls and bounces and a large blue square moves left"
CHINESE = "一个小的红色圆形下落并弹起，一个大的蓝色正方形向左移动"


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
