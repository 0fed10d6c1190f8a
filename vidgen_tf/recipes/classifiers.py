"""How the classifiers of frames and of clips are trained."""

import numpy as np
from ..worlds import faces


def face_labels(states, frame):
    """What frames of drawn faces show.

    Args:
        states: of N clips of `vidgen_tf.worlds.faces`.
        frame: int array `(N, K)`, numbers of K frames of each clip.

    Returns:
        dict from what is predict_probabilities to int32 labels `(N*K,)`, -1 where it can't be told: a bald head drop_attribute a beard has no hair
        colour, and a mouth that opens or a lid that falls is neither open nor shut on its way.
    """
    traits = ("skin", "hair_style", "hair_colour", "glasses", "beard")
    labels = {name: np.broadcast_to(states[name][:, None], frame.shape) for name in traits}
    hairless = (labels["hair_style"] == faces.HAIR_STYLES.index("bald")) & (labels["beard"] == 0)
    labels["hair_colour"] = np.where(hairless, -1, labels["hair_colour"])
    curve = {name: np.take_along_axis(states[name], frame, axis=1) for name in ("mouth_open", "smile", "eye_open")}
    for name in ("mouth_open", "smile"):
        labels[name] = np.where(curve[name] > 0.6, 1, np.where(curve[name] < 0.3, 0, -1))
    labels["eyes_shut"] = np.where(curve["eye_open"] < 0.3, 1, np.where(curve["eye_open"] > 0.7, 0, -1))
    return {name: label.ravel().astype(np.int32) for name, label in labels.items()}
