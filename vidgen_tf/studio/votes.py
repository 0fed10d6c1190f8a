"""Which of two clips people preferred, without knowing whose they were: kept in a file, and what it says of the models."""

import json
import threading

from scipy import stats

_LOCK = threading.Lock()


class Votes:
    """Answers of a blind test.

    Args:
        path: Path of the file that keeps them, a line each (.jsonl).
    """

    def __init__(self, path):
        self.path = path

    def add(self, better, worse):
        """Keeps an answer.

        Args:
            better, worse: str, names of models.
        """
        with _LOCK, open(self.path, "a", encoding="utf-8") as file:  # a line is written at once, or not at all
            file.write(json.dumps({"better": better, "worse": worse}) + "\n")

    def preference(self, one, other):
        """How often a model was preferred to another.

        With two models, the strengths of Bradley and Terry (1952, "Rank analysis of incomplete block designs") are this share
        and what is left to 1.

        Args:
            one, other: str, names of models.

        Returns:
            (int, int, float, float): how often it was preferred, of how many answers, and the ends of the exact interval
            (Clopper and Pearson, 1934) that holds its probability with a confidence of 95 %.
        """
        wins = [answer["better"] == one for answer in self._answers() if {answer["better"], answer["worse"]} == {one, other}]
        if not wins:
            return 0, 0, 0.0, 1.0
        interval = stats.binomtest(sum(wins), len(wins)).proportion_ci(0.95)
        return sum(wins), len(wins), float(interval.low), float(interval.high)

    def _answers(self):
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
        for line in lines:
            try:
                answer = json.loads(line)
            except ValueError:
                continue  # the rest of a write that a full disk cut off
            if isinstance(answer, dict) and {"better", "worse"} <= answer.keys():
                yield answer
