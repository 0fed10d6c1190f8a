"""Learns the vocabulary of `vidgen_tf.subwords` anew, from captions of training: python scripts/train_subwords.py [FILE]"""

import sys

import numpy as np

from vidgen_tf import subwords
from vidgen_tf.splits import is_held_out_prompt
from vidgen_tf.worlds import digits, shapes
from vidgen_tf.worlds.base import uniforms
from vidgen_tf.worlds.faces.states import sample_states
from vidgen_tf.worlds.paraphrases import paraphrase
from vidgen_tf.worlds.spheres.motion import DRAWS, simulate

COUNT = 6000  # clips of each world that are described


def states_of_worlds():
    """The states of clips, without held-out combinations of attributes. No clip is drawn.

    Returns:
        dict from the name of a world to a dict of arrays.
    """
    u = uniforms(1, 0, COUNT, 2)
    digit, motion = np.int64(u[:, :1] * 10), np.int64(u[:, 1] * len(digits.MOTIONS))
    worlds = {"faces": sample_states(COUNT, 1, 0, 1, 64), "spheres": simulate(uniforms(1, 0, COUNT, DRAWS))}
    worlds |= {"shapes": shapes.simulate(uniforms(1, 0, COUNT, shapes.DRAWS)), "digits": {"digit": digit, "motion": motion}}
    kept = {world: ~is_held_out_prompt(states, world) for world, states in worlds.items()}
    return {world: {name: value[kept[world]] for name, value in states.items()} for world, states in worlds.items()}


def main(path=subwords.PATH):
    """Writes the vocabulary.

    Args:
        path: file (.json).
    """
    captions = {}
    for world, states in states_of_worlds().items():
        english, chinese, _ = paraphrase(states, world, seed=2)
        captions[world] = [*english.tolist(), *chinese.tolist()]
    subwords.train(captions, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
