"""The text encoder: what a token's embedding depends on, and what is dropped from captions in training."""

import numpy as np
import pytest

from vidgen_tf import tokenizer, training
from vidgen_tf.models.text_encoder import TextEncoder

ENGLISH = "a small red circle falls and bounces and a large blue square moves left"
CHINESE = "一个小的红色圆形下落并弹起，一个大的蓝色正方形向左移动"


def ids_of(attributes=tuple(tokenizer.ATTRIBUTES)[:-1]):
    """Ids of the words of some attributes, of all but the stop words by default."""
    ids = np.arange(1, tokenizer.VOCABULARY_SIZE + 1)
    names = np.array(list(tokenizer.ATTRIBUTES))[tokenizer.WORD_ATTRIBUTES[(ids - 1) % len(tokenizer.WORDS)]]
    return ids[np.isin(names, attributes)]


def encoder(**rates):
    training.set_seed(1)
    layer = TextEncoder(6, **rates)
    layer(tokenizer.tokenize([ENGLISH]))
    return layer


def arrays(outputs):
    return [np.asarray(part) for part in outputs]


def test_a_tokens_embedding_does_not_depend_on_the_others():
    layer, whole = encoder(), tokenizer.tokenize([ENGLISH])
    partial = tokenizer.drop_attribute(whole, "color")
    embeddings, mask, pooled = arrays(layer(whole))
    fewer, partial_mask, partial_pooled = arrays(layer(partial))
    kept, colors = np.isin(partial[0], ids_of()), np.isin(whole[0], ids_of(["color"]))
    assert kept.sum() == 7 and colors.sum() == 2
    np.testing.assert_array_equal(embeddings[0, kept], fewer[0, kept])
    np.testing.assert_array_equal(mask, np.isin(whole, ids_of()))
    np.testing.assert_array_equal(partial_mask, np.isin(partial, ids_of()))
    assert not fewer[0, ~kept].any()
    added = embeddings[0, colors].sum(axis=0) / 4  # the pooled embedding is linear in the tokens'
    np.testing.assert_allclose(pooled[0, 0] - partial_pooled[0, 0], added @ layer.pooled_projection.kernel, atol=1e-5)


def test_attributes_are_dropped_by_phrase_and_together_in_training_alone():
    tokens = np.repeat(tokenizer.tokenize([ENGLISH]), 4000, axis=0)
    layer = encoder(attribute_dropout=0.2, caption_dropout=0.1)
    kept = np.asarray(layer.condition_dropout(tokens)) > 0
    words = tokenizer.split_words(ENGLISH)
    for word in ("a", "red", "blue", "small", "falls", "left"):
        assert kept[:, words.index(word)].mean() == pytest.approx(0.9 * 0.8 * 0.8, abs=0.03)
    np.testing.assert_array_equal(kept[:, words.index("falls")], kept[:, words.index("bounces")])  # one motion
    red, blue, circle = (kept[:, words.index(word)] for word in ("red", "blue", "circle"))
    left = kept.any(axis=1)
    assert np.mean(~red[left] & ~blue[left]) == pytest.approx(0.2 + 0.8 * 0.2**2, abs=0.03), "of both phrases, or of each"
    assert np.mean(~red[left] & ~circle[left]) == pytest.approx(0.36**2, abs=0.03), "attributes are independent"
    mask = np.asarray(layer(tokens)[1])
    np.testing.assert_array_equal(mask, np.isin(tokens, ids_of()))
    assert np.asarray(layer(tokens, training=True)[1]).mean() < 0.8 * mask.mean()


@pytest.mark.parametrize("rates, share", [({"caption_dropout": 1.0}, 0), ({"caption_dropout": 0.0, "attribute_dropout": 0.0}, 1)])
def test_dropout_with_certainty(rates, share):
    tokens = tokenizer.tokenize([ENGLISH, CHINESE])
    np.testing.assert_array_equal(encoder(**rates).condition_dropout(tokens), share * tokens)


def test_stop_words_are_masked():
    layer = encoder()
    for short, long in (("3", "the digit 3 is moving ."), ("red circle 下落", "a red circle 下落 and"), ("", "the")):
        one, other = (arrays(layer(tokenizer.tokenize([caption]))) for caption in (short, long))
        np.testing.assert_allclose(one[2], other[2], atol=1e-6)
        attended = [sorted(embeddings[0, mask[0] > 0].tolist()) for embeddings, mask, _ in (one, other)]
        assert attended[0] == attended[1], short


def test_each_batch_is_dropped_anew():
    tokens, layer = np.repeat(tokenizer.tokenize([CHINESE]), 50, axis=0), encoder()
    assert (np.asarray(layer.condition_dropout(tokens)) != np.asarray(layer.condition_dropout(tokens))).any()


def test_it_is_built_by_its_configuration():
    layer = TextEncoder(6, attribute_dropout=0.2, caption_dropout=0.3)
    again = TextEncoder.from_config(layer.get_config())
    again.build((None, None))
    layer.build((None, None))
    assert again.get_config() == layer.get_config() and (again.attribute_dropout, again.caption_dropout) == (0.2, 0.3)
    assert [w.shape for w in again.weights] == [w.shape for w in layer.weights] == [(141, 6), (6, 6), (6,)]
