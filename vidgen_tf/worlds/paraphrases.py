"""Captions in many forms: word order, synonyms, left-out attributes, one sentence or two, in English and Simplified Chinese.

A caption's *form* is the tuple of its choices: which template, which noun for a face or thing, which verb, which word order.
Every word and every template occurs in training, a fifth of the forms only in tests. A caption that leaves an attribute out says
nothing about it; `named` tells what is said.
"""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..errors import CourseError
from . import digits, faces, shapes, spheres
from .base import uniforms
from .faces.states import sample_states
from .spheres.motion import DRAWS as SPHERE_DRAWS
from .spheres.motion import simulate as simulate_spheres

SPLITS = ("train", "test")
HELD_OUT_FORMS = 5  # one form in so many is for tests alone
MENTION_ABSENT = 0.3  # share of faces without glasses, or without a beard, of which the caption says so
LEAVE_OUT = 0.2  # probability that an attribute is left out which may be
DRAWS = 16  # random numbers of a caption

_HAIR = (
    ("a bald head", "no hair", "a shaved head"),
    ("short {} hair", "{} hair cut short", "short hair that is {}"),
    ("a {} bob", "{} hair cut as a bob", "a bob of {} hair"),
    ("long {} hair", "{} hair worn long", "long hair that is {}"),
    ("curly {} hair", "{} curls", "curly hair that is {}"),
    ("a {} bun", "{} hair in a bun", "{} hair tied into a bun"),
)
_HAIR_ZH = (
    ("光头", "没有头发", "剃光的头"),
    ("{}短发", "{}的短头发", "短短的{}头发"),
    ("{}波波头", "{}的波波头", "剪成波波头的{}头发"),
    ("{}长发", "{}的长头发", "长长的{}头发"),
    ("{}卷发", "{}的卷头发", "卷卷的{}头发"),
    ("{}发髻", "{}的发髻", "盘成发髻的{}头发"),
)
_HAIR_COLOURS_ZH = ("黑色", "棕色", "红色", "金色", "灰色")
_DOES = (
    ("keeps a neutral expression", "looks ahead calmly", "stays calm", "shows no emotion"),
    ("smiles", "is smiling", "begins to smile", "gives a smile"),
    ("looks surprised", "is surprised", "shows surprise", "gasps in surprise"),
    ("blinks", "is blinking", "shuts both eyes for a moment", "closes the eyes and opens them"),
    ("talks", "is talking", "speaks", "says something"),
)
_DOES_ZH = (
    ("保持平静的表情", "平静地看着前方", "没有表情", "很平静"),
    ("露出微笑", "在微笑", "笑了起来", "微微一笑"),
    ("露出惊讶的表情", "很惊讶", "吃了一惊", "惊讶地张嘴"),
    ("在眨眼", "眨了眨眼", "闭了一下眼睛", "闭眼又睁开"),
    ("在说话", "正说着话", "说了些什么", "开口说话"),
)
_EXTRAS = {"glasses": ("no glasses", "glasses"), "beard": ("no beard", "a beard")}
_EXTRAS_ZH = {"glasses": ("没戴眼镜", "戴眼镜"), "beard": ("没留胡子", "留胡子")}
_PEOPLE = ("a face", "a person", "someone", "a head", "a man or woman", "somebody")
_PEOPLE_ZH = ("一张脸", "一个人", "某人", "一位人物", "一个头像", "某个人")
_FACE_TEMPLATES = (
    "{who} with {has} {does}",
    "{who} {does}. It has {has}",
    "{who} has {has} and {does}",
    "we see {who} with {has} who {does}",
    "{who} that {does} is shown with {has}",
    "with {has}, {who} {does}",
)
_FACE_TEMPLATES_ZH = (
    "{who}，{has}，{does}",
    "{who}{does}。{has}",
    "{has}的{who}{does}",
    "我们看到{who}，{has}，{does}",
    "画面里{who}{does}，{has}",
    "{does}的是{who}，{has}",
)


def draw_states(world, count, seed):
    """What clips of a world show, without a clip being drawn.

    Args:
        world: str, a key of `_GRAMMARS`: "faces", "spheres", "shapes" or "digits".
        count: int, how many clips.
        seed: non-negative int.

    Returns:
        dict of arrays, of digits "digit" and "motion" alone.
    """
    if world == "faces":
        return sample_states(count, seed, 0, 1, 64)
    if world == "spheres":
        return simulate_spheres(uniforms(seed, 0, count, SPHERE_DRAWS))
    if world == "shapes":
        return shapes.simulate(uniforms(seed, 0, count, shapes.DRAWS))
    u = uniforms(seed, 0, count, 2)
    return {"digit": np.int64(u[:, :1] * 10), "motion": np.int64(u[:, 1] * len(digits.MOTIONS))}


@functools.cache
def forms(world, split):
    """The forms of captions of a world.

    Args:
        world: str, a key of `_GRAMMARS`: "faces", "spheres", "shapes" or "digits".
        split: str, "train" or "test".

    Returns:
        int array `(F, C)`, a form in each row: the number of each of its C choices. The same for both languages.

    Raises:
        CourseError: another world or split.
    """
    if world not in _GRAMMARS or split not in SPLITS:
        raise CourseError(
            f"There are forms of {' and '.join(_GRAMMARS)}, for {' and '.join(SPLITS)}, not of {world!r}, {split!r}."
        )
    grammar = _GRAMMARS[world]
    rows = np.array(list(itertools.product(*map(range, grammar.choices))))
    is_test = rows[:, : grammar.num_decisive].sum(axis=1) % HELD_OUT_FORMS == 0  # each value of a choice is in both parts
    return rows[is_test if split == "test" else ~is_test]


def paraphrase(states, world, *, seed, split="train"):
    """Captions of clips in random forms.

    Args:
        states: dict of int arrays of N clips, as `make` of the world gives them.
        world: str, a key of `_GRAMMARS`: "faces", "spheres", "shapes" or "digits".
        seed: non-negative int; caption i is the same whatever the others are.
        split: str, "train" or "test": other forms in each.

    Returns:
        str arrays `(N,)`, English and Chinese, that say the same; and `named`, a dict of int arrays as those of `parse_captions`,
        -1 where the captions say nothing.

    Raises:
        CourseError: another world or split.
    """
    table = forms(world, split)
    grammar = _GRAMMARS[world]
    draws = uniforms(seed, 0, len(states[grammar.counts]), DRAWS)
    chosen = table[(draws[:, 0] * len(table)).astype(int)].tolist()
    said = grammar.choose(states, draws[:, 1:])
    columns = {name: value.tolist() for name, value in said.items()}
    rows = [dict(zip(columns, values)) for values in zip(*columns.values())]
    english, chinese = zip(*(grammar.write(row, form) for row, form in zip(rows, chosen)))
    return np.array(english), np.array(chinese), said


def _said_of_faces(states, draws):
    """What the captions of faces say: dict of int arrays `(N,)`, -1 where nothing is said."""
    has = {"beard": states["beard"], "has_glasses": np.int64(states["glasses"] > 0)}
    is_said = {name: u < np.where(has[name], 1 - LEAVE_OUT, MENTION_ABSENT) for name, u in zip(has, draws.T)}
    # Of a face of which nothing else is said, the hair is named.
    names_hair = (draws[:, 2] >= LEAVE_OUT) | ~np.any(list(is_said.values()), axis=0)
    names_colour = names_hair & (draws[:, 3] >= LEAVE_OUT) & (states["hair_style"] > 0)
    said = {"hair_style": np.where(names_hair, states["hair_style"], -1)}
    said["hair_colour"] = np.where(names_colour, states["hair_colour"], -1)
    said |= {name: np.where(is_said[name], value, -1) for name, value in has.items()}
    return said | {"expression": states["expression"]}


def _write_face(said, form):
    """An English and a Chinese caption of a face."""
    template, who, verb, hair, order = form
    english, chinese = [], []
    if said["hair_style"] >= 0:
        coloured = said["hair_colour"] >= 0
        hair = hair if coloured or not said["hair_style"] else 0  # the first form of each also reads well without a colour
        names = (faces.HAIR_COLOURS[said["hair_colour"]], _HAIR_COLOURS_ZH[said["hair_colour"]]) if coloured else ("", "")
        english.append(" ".join(_HAIR[said["hair_style"]][hair].format(names[0]).split()))
        chinese.append(_HAIR_ZH[said["hair_style"]][hair].format(names[1]))
    for name, value in (("beard", said["beard"]), ("glasses", said["has_glasses"])):
        if value >= 0:
            english.append(_EXTRAS[name][value])
            chinese.append(_EXTRAS_ZH[name][value])
    step = -1 if order else 1
    listed = " and ".join(filter(None, [", ".join(english[::step][:-1]), english[::step][-1]]))
    parts = {"who": _PEOPLE[who], "has": listed, "does": _DOES[said["expression"]][verb]}
    parts_zh = {"who": _PEOPLE_ZH[who], "has": "、".join(chinese[::step]), "does": _DOES_ZH[said["expression"]][verb]}
    return _FACE_TEMPLATES[template].format(**parts), _FACE_TEMPLATES_ZH[template].format(**parts_zh)


_SIZES = ((("small", "little", "tiny"), ("large", "big", "huge")), (("小", "小小", "小型"), ("大", "大大", "大型")))
_COLOURS = (tuple(spheres.COLORS), ("红色", "绿色", "蓝色", "黄色", "紫色", "橙色"))
_TEXTURES = (("plain", *spheres.TEXTURES[1:]), ("单色", "条纹", "格子", "圆点"))
_KINDS = {
    "spheres": ((("ball", "sphere"), ("box", "block")), (("球", "圆球"), ("方块", "盒子"))),
    "shapes": (
        (("circle", "disc"), ("square", "quadrangle"), ("triangle",) * 2),
        (("圆形", "圆"), ("正方形", "方形"), ("三角形", "三角")),
    ),
}
_NOUNS = (
    (
        "a {size} {color} {texture} {kind}",
        "a {color} {texture} {kind} of {size} size",
        "one {size} {texture} {kind} in {color}",
        "a {texture} {size} {kind} that is {color}",
    ),
    (
        "一个{size}的{color}{texture}{kind}",
        "一个{color}的{size}{texture}{kind}",
        "一个{color}{texture}的{size}{kind}",
        "{size}的{texture}{color}{kind}",
    ),
)
_VERBS = {  # how a thing of each kind moves along
    "spheres": (("rolls", "slides"), ("滚", "滑")),
    "shapes": (("moves",) * 3, ("移",) * 3),
}
_WAYS = {
    "left": (("{} left", "{} to the left", "{} leftwards"), ("向左{}动", "往左{}动", "{}向左边")),
    "right": (("{} right", "{} to the right", "{} rightwards"), ("向右{}动", "往右{}动", "{}向右边")),
    "up": (("{} up", "{} to the top", "{} upwards"), ("向上{}动", "往上{}动", "{}向上方")),
    "down": (("{} down", "{} to the bottom", "{} downwards"), ("向下{}动", "往下{}动", "{}向下方")),
    "towards": (("{} towards us", "{} closer", "{} to the front"), ("朝我们{}来", "向前{}来", "{}向近处")),
    "away": (("{} away", "{} further off", "{} to the back"), ("向远处{}去", "往后{}去", "{}向远处")),
    "falls": (("falls and bounces", "drops and bounces", "falls to the floor"), ("下落并弹起", "掉下来弹起", "落到地上")),
    "stays": (("stays still", "rests", "does not move"), ("静止不动", "停在原地", "一动不动")),
}
_PAIRS = ("{a} and {b}", "{a} while {b}", "{a}. {b}", "{b} and {a}"), ("{a}，{b}", "{a}，同时{b}", "{a}。{b}", "{b}，{a}")
_TOGETHER = {
    "collides": (
        ("{a} collides with {b}", "{a} hits {b}", "{b} is hit by {a}", "{a} and {b} collide"),
        ("{a}与{b}相撞", "{a}撞上{b}", "{b}被{a}撞上", "{a}和{b}相撞"),
    ),
    "behind": (
        (
            "{a} passes behind {b}",
            "{a} moves along behind {b}",
            "{b} hides {a} that passes",
            "{b} rests while {a} passes behind it",
        ),
        ("{a}从{b}后面经过", "{a}在{b}后面移动", "{b}挡住经过的{a}", "{b}不动，{a}从它后面经过"),
    ),
}


def _said_of_things(states, draws):
    """What the captions of spheres and shapes say: dict of int arrays, `(N,)` or `(N, 2)`, -1 where nothing is said."""
    names = ("objects", "kind", "shape", "color", "motion", "texture", "size")
    said = {name: np.int64(states[name]) for name in names if name in states}
    said["size"] = np.where(draws[:, :2] < LEAVE_OUT, -1, said["size"])
    if "texture" in said:
        leaves_out = np.where(said["texture"] > 0, draws[:, 2:4] < LEAVE_OUT, draws[:, 2:4] >= MENTION_ABSENT)
        said["texture"] = np.where(leaves_out, -1, said["texture"])
    return said


def _write_things(world, motions, noun_of_kind, said, form):
    """An English and a Chinese caption of one or two things."""
    noun, size, verb, pair, synonym = form
    count, motion = said["objects"], [motions[number] for number in said["motion"]]
    captions = []
    for language in range(2):
        nouns = []
        for k in range(count):
            kind = said[noun_of_kind][k]
            parts = {"kind": _KINDS[world][language][kind][synonym], "color": _COLOURS[language][said["color"][k]]}
            parts["size"] = _SIZES[language][said["size"][k]][size] if said["size"][k] >= 0 else ""
            texture = said["texture"][k] if "texture" in said else -1
            parts["texture"] = _TEXTURES[language][texture] if texture >= 0 else ""
            order = _NOUNS[language][noun if parts["size"] else noun - (noun == 1)]  # "of {size} size" needs a size
            nouns.append(" ".join(order.format(**parts).split()).replace("个的", "个").removeprefix("的"))
        if motion[0] in _TOGETHER:
            captions.append(_TOGETHER[motion[0]][language][pair].format(a=nouns[0], b=nouns[1]))
            continue
        verbs = [_WAYS[motion[k]][language][verb].format(_VERBS[world][language][said[noun_of_kind][k]]) for k in range(count)]
        parts = [("{} {}", "{}{}")[language].format(*pair) for pair in zip(nouns, verbs)]
        captions.append(parts[0] if count == 1 else _PAIRS[language][pair].format(a=parts[0], b=parts[1]))
    return captions


_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), tuple("零一二三四五六七八九")
_DIGIT_NOUNS = (
    ("the digit {}", "a {}", "the number {}", "a handwritten {}", "the figure {}"),
    ("数字{}", "一个{}", "数目{}", "手写的{}", "字符{}"),
)
_ENDS = ("up", "down", "left", "right"), ("上", "下", "左", "右")
_DIGIT_VERBS = (
    (
        "is moving {} then {}",
        "moves {} and then {}",
        "goes {}, then {}",
        "first moves {}, then {}",
        "moves {} before it moves {}",
    ),
    ("先向{}再向{}移动", "往{}移动，再往{}", "先往{}后往{}走", "向{}移动，然后向{}", "先{}后{}地移动"),
)
_DIGIT_TEMPLATES = (
    ("{a} {b}", "we see {a} that {b}", "here {a} {b}", "there is {a}. It {b}"),
    ("{a}{b}", "我们看到{a}{b}", "这里{a}{b}", "有{a}。它{b}"),
)


def _said_of_digits(states, draws):
    """What the captions of digits say: dict of int arrays `(N,)`."""
    return {"digit": np.int64(states["digit"][:, 0]), "motion": np.int64(states["motion"])}


def _write_digit(said, form):
    """An English and a Chinese caption of a digit."""
    template, noun, verb, as_word = form
    captions = []
    for language in range(2):
        digit = _DIGITS[language][said["digit"]] if as_word else str(said["digit"])
        there, back = divmod(said["motion"], 2)
        ways = _ENDS[language][2 * there : 2 * there + 2]
        moves = _DIGIT_VERBS[language][verb].format(*(ways[::-1] if back else ways))
        captions.append(_DIGIT_TEMPLATES[language][template].format(a=_DIGIT_NOUNS[language][noun].format(digit), b=moves))
    return captions


class _Grammar(NamedTuple):
    """How the captions of a world are written."""

    choices: tuple  # how many alternatives each choice of a form has
    num_decisive: int  # the first so many choices decide of which split a form is
    counts: str  # a state with an entry for each clip
    choose: Callable  # (states, draws (N, DRAWS - 1)) -> what is said
    write: Callable  # (what is said of one clip, its form) -> an English and a Chinese caption


_OF_THINGS = (len(_NOUNS[0]), 3, 3, len(_PAIRS[0]), 2)
_GRAMMARS = {
    # Template, noun and verb alone decide: where little is said of a face, the other choices don't show.
    "faces": _Grammar((len(_FACE_TEMPLATES), len(_PEOPLE), 4, 3, 2), 3, "expression", _said_of_faces, _write_face),
    "spheres": _Grammar(
        _OF_THINGS,
        len(_OF_THINGS),
        "objects",
        _said_of_things,
        functools.partial(_write_things, "spheres", spheres.MOTIONS, "kind"),
    ),
    "shapes": _Grammar(
        _OF_THINGS,
        len(_OF_THINGS),
        "objects",
        _said_of_things,
        functools.partial(_write_things, "shapes", shapes.MOTIONS, "shape"),
    ),
    "digits": _Grammar((4, len(_DIGIT_NOUNS[0]), len(_DIGIT_VERBS[0]), 2), 4, "digit", _said_of_digits, _write_digit),
}
