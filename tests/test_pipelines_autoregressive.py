"""Captions and first frames as what stands in front of the tokens, and the recipes that learn from both."""

import keras
import numpy as np
import pytest

from vidgen_tf import datasets
from vidgen_tf.errors import CourseError
from vidgen_tf.evaluation.autoregressive import clip_accuracy, evaluate_tokenizer
from vidgen_tf.models.autoregressive import GPT, GPTConfig
from vidgen_tf.models.video_tokenizer import VideoTokenizer, VideoTokenizerConfig, decode_tokens, encode_tokens
from vidgen_tf.pipelines import autoregressive
from vidgen_tf.pipelines.autoregressive import CONDITION_IDS, CONDITION_LENGTHS, condition_ids, generate_clips
from vidgen_tf.recipes import autoregressive as recipes
from vidgen_tf.splits import is_held_out, training_clips
from vidgen_tf.tokenizer import detokenize


@pytest.fixture(scope="module")
def pair():
    """A small GPT of digits and its tokenizer."""
    keras.utils.set_random_seed(1)
    tokenizer = VideoTokenizer(VideoTokenizerConfig(filters=(4, 4, 4, 4), levels=(3, 3)))
    config = GPTConfig(
        levels=(3, 3),
        num_condition_ids=CONDITION_IDS["digits"],
        condition_length=CONDITION_LENGTHS["digits"],
        hidden_dim=8,
        num_layers=1,
        num_heads=2,
    )
    return GPT(config), tokenizer


def test_captions_of_digits_are_their_words():
    clips = datasets.load("digits", "validation", 60)
    for captions in (clips.captions.tolist(), clips.captions_zh.tolist()):
        ids = condition_ids([*captions, ""], "digits")
        assert ids.shape == (61, 9) and ids.max() <= CONDITION_IDS["digits"] and not ids[-1].any()
        assert len(np.unique(ids, axis=0)) == len(set(captions)) + 1
    assert detokenize(condition_ids([clips.captions[0]], "digits")) == [clips.captions[0]]


def test_captions_of_faces_are_the_same_ids_in_both_languages():
    clips = datasets.load("faces-32", "validation", 60)
    ids, chinese = (condition_ids(captions.tolist(), "faces-32") for captions in (clips.captions, clips.captions_zh))
    np.testing.assert_array_equal(ids, chinese)
    assert ids.shape == (60, 5) and ids.max() <= CONDITION_IDS["faces-32"] == 20
    bald = np.array(["bald" in caption for caption in clips.captions])
    np.testing.assert_array_equal(ids[:, 2] == 0, bald)
    assert all(len(set(a) & set(b)) == 0 for i, a in enumerate(ids.T) for b in ids.T[:i] if a.all() and b.all())
    assert not condition_ids([""], "faces-32").any()


def test_captions_of_other_data_sets_are_refused():
    with pytest.raises(CourseError, match="digits and faces-32"):
        condition_ids(["a red circle falls"], "shapes")
    with pytest.raises(CourseError, match="at most 9 words"):
        condition_ids(["the digit 3 is moving up then down . . ."], "digits")


def test_the_first_frames_of_a_clip_come_back_and_the_rest_is_sampled(pair, monkeypatch):
    monkeypatch.setattr(autoregressive, "BATCH_SIZE", 4)
    clips = datasets.load("digits", "validation", 6)
    condition, context = condition_ids(clips.captions.tolist(), "digits"), clips.frames[:, :3]
    frames = generate_clips(*pair, condition, seed=2, context=context, temperature=0.9)
    assert frames.shape == clips.frames.shape and frames.dtype == np.uint8
    expected = decode_tokens(pair[1], encode_tokens(pair[1], context))
    assert np.abs(frames[:, :3].astype(int) - expected).max() <= 1
    assert not np.array_equal(frames, generate_clips(*pair, condition, seed=3, context=context))


def test_each_clip_is_an_example_with_each_of_its_captions(pair):
    clips = datasets.load("digits", "train", 60)
    examples = recipes.token_examples(pair[1], clips, "digits")
    kept = clips[~is_held_out(clips.states)]
    assert 0 < len(kept) < 60 and len(examples["tokens"]) == len(examples["condition"]) == 2 * len(kept)
    np.testing.assert_array_equal(examples["tokens"][3:5], encode_tokens(pair[1], kept.frames[3:5]))
    assert detokenize(examples["condition"][[3, 3 + len(kept)]]) == [kept.captions[3], kept.captions_zh[3].rstrip()]


@pytest.mark.parametrize("dataset", ["digits", "faces"])
def test_the_recipes_are_whole(dataset):
    known = {recipe.name: recipe for recipe in recipes.RECIPES}
    tokenizer, gpt = known[f"video-tokenizer-{dataset}"], known[f"gpt-{dataset}"]
    assert gpt.uses["tokenizer"] == tokenizer.name and tokenizer.dataset == gpt.dataset
    count = tokenizer.config.num_tokens(16)
    assert gpt.config.levels == tokenizer.config.levels and gpt.config.num_tokens == count
    assert f"as {count} of {tokenizer.config.num_codes} codes" in tokenizer.title and f"the {count} tokens" in gpt.title
    name = gpt.dataset[0]
    assert (gpt.config.num_condition_ids, gpt.config.condition_length) == (CONDITION_IDS[name], CONDITION_LENGTHS[name])
    assert all(recipe.reference == name and recipe.dataset[1] == "train" for recipe in (tokenizer, gpt))


def test_a_tokenizer_learns_from_the_first_frame_and_each_later_one_once():
    frames = np.arange(5 * 16, dtype=np.uint8).reshape(5, 16, 1, 1, 1) + np.zeros((2, 2, 1), np.uint8)
    examples = recipes.tokenizer_examples(frames, seed=3)
    assert examples.shape == (25, 4, 2, 2, 1) and examples.dtype == np.uint8
    for clip, parts in zip(frames, examples.reshape(5, 5, 4, 2, 2, 1)):
        assert (parts[:, 0] == clip[0]).all(), "the first frame stands first"
        later = parts[:, 1:].reshape(15, 2, 2, 1)
        order = np.argsort(later[:, 0, 0, 0])
        np.testing.assert_array_equal(later[order], clip[1:])
        assert order.tolist() != list(range(15)), "in any order"
    np.testing.assert_array_equal(recipes.tokenizer_examples(frames, seed=3), examples)
    assert not np.array_equal(recipes.tokenizer_examples(frames, seed=4), examples)


def test_a_tokenizer_is_trained_on_such_examples(monkeypatch):
    fed = {}
    monkeypatch.setattr(recipes, "load", lambda name, split: datasets.load(name, split, 40))
    monkeypatch.setattr(recipes, "fit_vae", lambda model, clips, steps, **options: fed.update(options, clips=clips, steps=steps))
    recipe = next(recipe for recipe in recipes.RECIPES if recipe.name == "video-tokenizer-digits")
    recipe.train(recipe, None, 30, None)
    clips = training_clips(datasets.load("digits", "train", 40)).frames
    assert 0 < len(clips) < 40
    np.testing.assert_array_equal(fed["clips"], recipes.tokenizer_examples(clips, recipe.seed))
    assert fed["steps"] == 30 and recipe.training.items() <= fed.items()


@pytest.mark.parametrize("optimizer", recipes.OPTIMIZERS)
def test_a_short_training_lowers_the_bits(pair, monkeypatch, optimizer):
    monkeypatch.setattr(recipes, "load", lambda name: datasets.load(name, "train", 60))
    examples, model = recipes.training_set("digits", pair[1]), GPT(pair[0].config)
    options = {"optimizer": optimizer, "batch_size": 16, "log_interval": 10, "learning_rate": 1e-2}
    history = recipes.fit_gpt(model, examples, 60, **options)
    assert history["bits_per_token"][-1] < history["bits_per_token"][0]


def test_scores_of_a_tokenizer_and_of_real_clips():
    record = {"dataset": {"name": "digits"}}
    model = VideoTokenizer(VideoTokenizerConfig(filters=(2, 2, 2, 2), levels=(2, 2)))
    scores = evaluate_tokenizer(model, record)
    assert set(scores) == {"psnr_db", "codes_in_use", "code_perplexity"} and 0 < scores["codes_in_use"] <= 1
    for name in ("digits", "faces-32"):
        clips = datasets.load(name, "test", 120)
        accuracy = clip_accuracy(clips.frames, clips, name)
        assert accuracy["joint_accuracy"] > 0.85
        shuffled = clip_accuracy(clips.frames[::-1], clips, name)
        assert shuffled["joint_accuracy"] < 0.2
