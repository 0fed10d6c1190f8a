"""Scores shipped weights again, where an evaluation or a classifier that it uses has changed since they were trained.

    python scripts/score_zoo.py NAME ...

The weights and what their records say of the training stay; "scored" says when, and by which commit, the scores were measured.
"""

import argparse

from vidgen_tf import zoo
from vidgen_tf.evaluation.results import write_weights_table
from vidgen_tf.evaluation.scores import evaluate_trained
from vidgen_tf.recipes.run import provenance
from vidgen_tf.zoo.records import write_record


def main():
    parser = argparse.ArgumentParser(description="Scores shipped weights again, and writes README's table of them.")
    parser.add_argument("names", nargs="+", choices=sorted(zoo.manifest()), metavar="NAME", help="a name in the zoo")
    for name in parser.parse_args().names:
        record, begun = zoo.record(name), provenance()
        scores = evaluate_trained(zoo.load(name), record)
        for key, value in scores.items():
            print(f"{name}: {key} {record['scores'].get(key)} -> {value}", flush=True)
        scored = {key: begun[key] for key in ("commit", "date")}
        write_record(name, record | {"scores": scores, "scored": scored})
    write_weights_table()


if __name__ == "__main__":
    main()
