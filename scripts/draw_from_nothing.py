"""Draws README's figure of accuracy against minutes of training, from the zoo's records of text to video from scratch.

python scripts/draw_from_nothing.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from vidgen_tf import figures, zoo
from vidgen_tf.files import atomic_path

PICTURE = Path(__file__).parents[1] / "assets" / "from_nothing.png"
VARIANT = "from scratch"  # of a record's rows; one of a single training has no variants
RECORDS = {"digits": "from-scratch-ablation-digits", "shapes": "text-to-video-from-scratch-shapes"}


def curves(rows):
    """Minutes, the median over seeds, and accuracies, a row for each seed; both begin at 0."""
    rows = [row for row in rows if row.get("variant", VARIANT) == VARIANT]
    seeds = dict.fromkeys(row.get("seed") for row in rows)
    runs = [[row for row in rows if row.get("seed") == seed] for seed in seeds]
    minutes = np.median([[row["seconds"] / 60 for row in run] for run in runs], axis=0)
    accuracy = np.array([[row["joint_accuracy"] for row in run] for run in runs])
    return np.append(0, minutes), np.pad(accuracy, ((0, 0), (1, 0)))


def main():
    figures.use_style()
    _, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for dataset, name in RECORDS.items():
        minutes, accuracy = curves(zoo.experiment(name)["rows"])
        label = f"{dataset}: {len(accuracy)} trainings" if len(accuracy) > 1 else f"{dataset}: one training"
        (line,) = axes.plot(minutes, np.median(accuracy, axis=0), "o-", label=label)
        axes.fill_between(minutes, accuracy.min(axis=0), accuracy.max(axis=0), color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set(xlabel="minutes of training on two CPU cores, encoder and transformer together", xlim=(0, None), ylim=(0, 1.02))
    axes.set_ylabel("prompts with all of it right")
    axes.legend(title="prompts for", loc="lower right")
    with atomic_path(PICTURE) as temporary:
        plt.savefig(temporary, dpi=110, format="png", metadata={"Software": None})


if __name__ == "__main__":
    main()
