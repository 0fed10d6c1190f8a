"""The tokenizer: captions to token ids and back, partial captions, and prompts that are refused in a sentence that helps."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidgen_tf import tokenizer
from vidgen_tf.errors import CourseError
from vidgen_tf.worlds import digits, shapes

ENGLISH = "a small red circle falls and bounces and a large blue square moves left"
CHINESE = "一个小的红色圆形下落并弹起，一个大的蓝色正方形向左移动"
quick = settings(max_examples=100, deadline=None, derandomize=True)

VOCABULARY = (
    "0 1 2 3 4 5 6 7 8 9 small large 小 大 "
    "red green blue yellow purple orange 红色 绿色 蓝色 黄色 紫色 橙色 circle square triangle 圆形 正方形 三角形 "
    "left right up down then falls bounces stays still collide 先 再 向左 向右 向上 向下 下落 弹起 静止 不动 相撞 "
    "a and moves the digit is moving . 一个 的 和 ， 移动 并 数字 在 。"
)


@pytest.fixture(scope="module")
def clips():
    return {"digits": digits.make(400, seed=1), "shapes": shapes.make(400, seed=1)}


def test_token_ids_are_those_that_the_weights_were_trained_with():
    assert tokenizer.WORDS == tuple(VOCABULARY.split()), "the order of the words makes the ids: it must never change"
    assert len(set(tokenizer.WORDS)) == 70 and tokenizer.VOCABULARY_SIZE == 140
    counts = dict(zip(tokenizer.ATTRIBUTES, np.bincount(tokenizer.WORD_ATTRIBUTES).tolist()))
    assert counts == {"digit": 10, "size": 4, "color": 12, "shape": 6, "motion": 21, "stop words": 17}
    assert tokenizer.WORD_ATTRIBUTES.dtype == np.int32
    first = tokenizer.tokenize(["the digit 3 is moving up then down .", "一个红色圆形下落"])
    assert first[0, :9].tolist() == [57, 58, 4, 59, 60, 35, 107, 106, 131] and first[1, :5].tolist() == [62, 21, 30, 49, 0]


@pytest.mark.parametrize("world", [digits, shapes])
@pytest.mark.parametrize("language", ["captions", "captions_zh"])
def test_captions_come_back_from_their_ids_and_name_the_states_that_made_them(clips, world, language):
    written = getattr(clips[world.name], language)
    ids = tokenizer.tokenize(written)
    assert ids.shape == (400, tokenizer.MAX_LENGTH) and ids.dtype == np.int32
    assert 0 <= ids.min() and ids.max() <= tokenizer.VOCABULARY_SIZE
    again = tokenizer.detokenize(ids)
    assert again == written.tolist()
    for key, value in world.parse_captions(again).items():
        np.testing.assert_array_equal(value, clips[world.name].states[key], err_msg=key)
    assert {tokenizer.dataset_of_prompt(caption) for caption in written[:100]} == {world.name}


def test_captions_of_digits_without_a_motion_have_words_too():
    clips = digits.make_moving_mnist(50, seed=1, size=32, num_frames=16, num_digits=1)
    for written in (clips.captions, clips.captions_zh):
        assert tokenizer.detokenize(tokenizer.tokenize(written)) == written.tolist()


def test_every_word_is_in_a_caption_and_every_word_of_a_motion_is_there(clips):
    used = {w for part in clips.values() for row in (*part.captions, *part.captions_zh) for w in tokenizer.split_words(row)}
    assert set(tokenizer.WORDS) - used == {"在"}, "which the captions of digits without a motion have"
    named = {*tokenizer.ATTRIBUTES["motion"], *tokenizer.ATTRIBUTES["stop words"]}
    for phrase in (*shapes.VERBS, *shapes.VERBS_ZH, *digits.MOTIONS, *digits.MOTIONS_ZH):
        assert named >= set(tokenizer.split_words(phrase))
    own = (tokenizer.DIGITS_WORDS, tokenizer.SHARED_WORDS, tokenizer.SHAPES_WORDS)
    assert sorted(word for words in own for word in words) == sorted(tokenizer.WORDS), "each word is in one of the three"


# Prompts of the vocabulary's words that name no value twice: any words of one language, a phrase or two.
def phrase(language):
    rows = [[word for word in words if word.isascii() == (language == "en")] for words in tokenizer.ATTRIBUTES.values()]
    rows = [[word for word in words if word not in tokenizer.PHRASE_STARTS | {"，", "."}] for words in rows if words]
    return st.tuples(*(st.sampled_from(["", *words]) for words in rows)).map(lambda words: [word for word in words if word])


@quick
@given(st.sampled_from(["en", "zh"]).flatmap(lambda language: st.tuples(st.just(language), phrase(language), phrase(language))))
def test_any_prompt_of_known_words_comes_back(prompt):
    language, first, second = prompt
    second = [word for word in second if not word.isdecimal()]  # a clip shows one digit
    start, space = {"en": ("a", " "), "zh": ("一个", "")}[language]
    caption = space.join([start, *first, start, *second])
    ids = tokenizer.tokenize([caption])
    assert tokenizer.split_words(caption) == [start, *first, start, *second]
    assert tokenizer.detokenize(ids) == [caption] and tokenizer.count_phrases(ids).tolist() == [2]
    for attribute in ("size", "color", "shape", "motion"):
        dropped = tokenizer.drop_attribute(ids, attribute)
        assert (dropped == 0).sum() - (ids == 0).sum() == sum(
            word in tokenizer.ATTRIBUTES[attribute] for word in [*first, *second]
        )
    swapped = tokenizer.swap_phrases(ids)
    np.testing.assert_array_equal(tokenizer.swap_phrases(swapped), ids)
    assert ((swapped > 0) == (ids > 0)).all() and tokenizer.detokenize(swapped) == [caption]


@settings(quick, max_examples=50)
@given(st.text(max_size=40))
def test_whatever_is_written_is_read_or_refused_in_one_short_line(prompt):
    try:
        ids = tokenizer.tokenize([prompt])
    except CourseError as error:
        said = str(error)
        assert said.isprintable() and len(said) < 1500
    else:
        assert ids.shape == (1, tokenizer.MAX_LENGTH)


def test_the_phrase_is_part_of_the_id():
    one, other = tokenizer.tokenize(["the digit 3 is moving up then down .", "the digit 3 is moving down then up ."])
    assert sorted(one) != sorted(other), "as a bag of words without phrases they would be the same"
    pair = ["a red circle and a green circle collide", "a green circle and a red circle collide"]
    red_first, red_second = tokenizer.tokenize(pair)
    assert sorted(red_first) != sorted(red_second)


@pytest.mark.parametrize("prompt", ["A Red circle FALLS", "an red circle, falls", "ａ red circle falls", "a red\ncircle\tfalls"])
def test_prompts_are_read_as_people_write_them(prompt):
    words = tokenizer.split_words(prompt)
    assert [word for word in words if word != "，"] == ["a", "red", "circle", "falls"]


def said_of(prompt):
    with pytest.raises(CourseError) as error:
        tokenizer.tokenize([prompt])
    return str(error.value)


@pytest.mark.parametrize(
    "prompt, unknown",
    [
        ("a pink cat falls", "pink cat"),
        ("the digit 12 is moving up", "12"),
        ("一个红色猫下落", "猫"),
        ("ein roter Kreis fällt", "ein roter kreis fällt"),
        ("a fa\u0308llt circle", "fällt"),
        ("don't fall", "don't fall"),
        ("красный круг", "красный круг"),
        ("\ufeffa red circle", r"\ufeff"),
        ("a red\u200bcircle", r"\u200b"),
        ("a red ❤\ufe0f", r"❤ \ufe0f"),
    ],
)
def test_an_unknown_word_is_told_whole_and_visibly_and_the_known_ones_are_listed(prompt, unknown):
    said = said_of(prompt)
    assert f"never saw: {unknown}. It knows " in said and said.isprintable()
    assert said.endswith("It knows " + " ".join(tokenizer.WORDS))


@pytest.mark.parametrize("prompt", ["a red cat " * 5200, "x" * 52000, "a red circle " * 4000, "猫" * 52000])
def test_of_a_long_prompt_the_first_words_are_shown(prompt):
    for refuse in (lambda: tokenizer.tokenize([prompt]), lambda: tokenizer.dataset_of_prompt(prompt + " 3")):
        with pytest.raises(CourseError) as error:
            refuse()
        assert len(str(error.value)) < 700 and f"'{prompt[:60].rstrip()} ...'" in str(error.value)


def test_too_many_words_and_phrases_are_refused():
    assert "more than 2 objects" in said_of("a red circle falls and a blue square falls and a green triangle falls")
    assert "has 21 words, but a caption has at most 20" in said_of("the " * 21)


@pytest.mark.parametrize(
    "prompt, words, attribute",
    [
        ("a small large red blue circle square falls stays still", "'small' and 'large'", "size"),
        ("the digit 3 5 7 moving left right", "'3' and '5'", "digit"),
        ("3.5 left", "'3' and '5'", "digit"),
        ("the digit 3 is moving up then 5", "'3' and '5'", "digit"),
        ("a red circle and a blue square green", "'blue' and 'green'", "color"),
        ("一个红色蓝色圆形", "'红色' and '蓝色'", "color"),
        ("a red 蓝色 circle", "'red' and '蓝色'", "color"),
        ("a circle square", "'circle' and 'square'", "shape"),
    ],
)
def test_a_phrase_that_contradicts_itself_is_refused(prompt, words, attribute):
    assert f"contradicts itself, {words} are both its {attribute}: name one" in said_of(prompt)


@pytest.mark.parametrize(
    "prompt",
    ["a red 红色 red circle", "a red circle and a blue circle", "the digit 3 moving left right", "a circle falls and bounces"],
)
def test_a_value_said_twice_other_phrases_and_motions_contradict_nothing(prompt):
    assert tokenizer.tokenize([prompt]).any()


def test_a_prompt_belongs_to_one_data_set():
    for prompt in ("the digit 3 is moving", "数字3先向上再向下移动"):
        assert tokenizer.dataset_of_prompt(prompt) == "digits"
    for prompt in ("red circle", "红色圆形下落"):
        assert tokenizer.dataset_of_prompt(prompt) == "shapes"
    with pytest.raises(CourseError, match=r"'8 left and right' mixes '8' \(of digits\) and 'and' \(of shapes\): ask for"):
        tokenizer.dataset_of_prompt("8 left and right")
    with pytest.raises(CourseError, match="'left' names neither a digit nor a shape"):
        tokenizer.dataset_of_prompt("left")


def test_an_attribute_is_dropped_in_both_languages():
    assert tokenizer.detokenize(tokenizer.drop_attribute(tokenizer.tokenize([ENGLISH, CHINESE]), "color")) == [
        "a small circle falls and bounces and a large square moves left",
        "一个小的圆形下落并弹起，一个大的正方形向左移动",
    ]
    ids = tokenizer.tokenize([ENGLISH])
    assert not tokenizer.drop_attribute(ids, "all").any()
    np.testing.assert_array_equal(tokenizer.drop_attribute(ids, "digit"), ids)
    for wrong in ("colour", "stop words"):
        with pytest.raises(CourseError, match=f"for all, or for digit, size, color, shape, motion, not for '{wrong}'"):
            tokenizer.drop_attribute(ids, wrong)


def test_phrases_are_counted_and_swapped():
    ids = tokenizer.tokenize(["a red circle falls and a blue square moves left", "a red circle", ""])
    swapped = tokenizer.swap_phrases(ids)
    assert (swapped > 0).tolist() == (ids > 0).tolist() and tokenizer.count_phrases(ids).tolist() == [2, 1, 0]
    assert (swapped[1, :3] == ids[1, :3] + len(tokenizer.WORDS)).all()
    assert tokenizer.count_phrases(swapped).tolist() == [2, 2, 0]


def test_the_tokenizer_needs_no_tensorflow():
    code = "import sys; import vidgen_tf.tokenizer, vidgen_tf.splits; print({'tensorflow', 'keras'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
