"""Prompts as subword tokens: nothing of a known word is lost, nothing unknown passes in silence."""

import numpy as np
import pytest

from vidgen_tf import subwords
from vidgen_tf.datasets import load
from vidgen_tf.errors import CourseError
from vidgen_tf.worlds.faces.states import sample_states
from vidgen_tf.worlds.paraphrases import paraphrase

PROMPT = "Someone with curly red hair and glasses smiles"


def test_tokens_are_padded_with_0_and_bounded_by_the_vocabulary():
    ids = subwords.encode([PROMPT, "", "一个人，红色的卷发，戴眼镜，露出微笑"])
    assert ids.shape == (3, subwords.PROMPT_LENGTH) and ids.dtype == np.int32
    assert ids.max() <= subwords.VOCABULARY_SIZE and not ids[1].any()
    lengths = (ids > 0).sum(axis=1)
    assert all(not row[length:].any() and row[:length].all() for row, length in zip(ids, lengths))


def test_decoding_gives_the_letters_back():
    for prompt in (PROMPT, "画面里一个人在眨眼，没留胡子"):
        pieces = subwords.decode(subwords.encode([prompt])[0])
        assert "".join(pieces) == subwords.normalize(prompt).replace(" ", "")


def test_capital_and_full_width_letters_are_the_same_prompt():
    assert np.array_equal(*subwords.encode([PROMPT, PROMPT.upper().replace("SMILES", "ｓｍｉｌｅｓ")]))


def test_every_caption_of_faces_fits_and_frequent_words_are_one_token():
    states = sample_states(3000, 4, 0, 1, 64)
    for split in ("train", "test"):
        for captions in paraphrase(states, "faces", seed=8, split=split)[:2]:
            subwords.encode(captions)
    for word in ("hair", "glasses", "someone", "惊讶"):
        assert (subwords.encode([word]) > 0).sum() == 1, word


@pytest.mark.parametrize(
    "prompt, message", [("a persn smiles", "persn .perhaps person"), ("a unicorn", "unicorn"), ("一只狗", "狗")]
)
def test_a_word_that_no_caption_has_is_named_and_a_near_one_suggested(prompt, message):
    with pytest.raises(CourseError, match=message):
        subwords.encode([prompt])


def test_a_prompt_of_too_many_tokens_is_refused():
    with pytest.raises(CourseError, match="at most 40"):
        subwords.encode([" ".join(["smiles"] * 41)])


@pytest.mark.parametrize(
    "prompt, world",
    [
        (PROMPT, "faces"),
        ("a face with glasses", "faces"),
        ("一张脸，露出微笑", "faces"),
        ("a red circle falls and bounces", "shapes"),
        ("the digit 3 is moving up then down .", "digits"),
    ],
)
def test_the_words_tell_the_world(prompt, world):
    assert subwords.world_of_prompt(prompt) == world


@pytest.mark.parametrize("dataset", ["digits", "shapes"])
def test_captions_of_a_world_are_taken_for_no_other(dataset):
    clips = load(dataset, "test", 250)
    assert {subwords.world_of_prompt(caption) for caption in (*clips.captions, *clips.captions_zh)} == {dataset}


def test_words_of_several_worlds_are_refused():
    with pytest.raises(CourseError, match="captions of faces: circle"):
        subwords.world_of_prompt("a red circle smiles")


def test_a_vocabulary_is_learned_from_captions_and_read_again(tmp_path):
    path = tmp_path / "words.json"
    subwords.train({"faces": ["a red nose", "a red hat", "一顶帽子"]}, path, vocabulary_size=40)
    tokenizer, words = subwords.load(path)
    assert words["faces"] == {"a", "red", "nose", "hat", "一", "顶", "帽", "子"}
    assert tokenizer.encode("red").tokens == ["red"]  # its parts stand side by side most often
