"""Learns the vocabulary of `vidgen_tf.subwords` anew, from captions of training: python scripts/train_subwords.py [FILE]"""

import sys

from vidgen_tf import subwords
from vidgen_tf.splits import is_held_out_prompt
from vidgen_tf.worlds.paraphrases import draw_states, paraphrase

COUNT = 6000  # clips of each world that are described


def main(path=subwords.PATH):
    """Writes the vocabulary.

    Args:
        path: file (.json).
    """
    captions = {}
    for world in ("faces", "spheres", "shapes", "digits"):
        states = draw_states(world, COUNT, seed=1)
        kept = ~is_held_out_prompt(states, world)
        states = {name: value[kept] for name, value in states.items()}
        english, chinese, _ = paraphrase(states, world, seed=2)
        captions[world] = [*english.tolist(), *chinese.tolist()]
    subwords.train(captions, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
