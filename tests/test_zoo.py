"""The zoo: weights come back as they went in, damaged and foreign files are refused, and every shipped file is what it says."""

import numpy as np
import pytest

from vidgen_tf import __main__ as command_line
from vidgen_tf import zoo
from vidgen_tf.errors import CourseError
from vidgen_tf.models import dense


class TinyFaces(dense.DenseFaces):
    """The recipe of the zoo's dense generator, on noise of a size that trains in a moment."""

    steps = {"fast": 200, "full": 400}
    config = dense.DenseConfig(latent_dim=4, hidden=(16,), frame_size=8)

    def frames(self):
        return np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)

    def build(self):
        return dense.LatentFrames(64, self.config)


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A zoo of one tiny model, in a folder of its own."""
    monkeypatch.setattr(zoo, "RECIPES", {"tiny": "vidgen_tf.models.dense:TinyFaces"})
    monkeypatch.setattr(dense, "TinyFaces", TinyFaces, raising=False)
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "zoo")
    monkeypatch.setattr(zoo, "MANIFEST", tmp_path / "zoo" / "manifest.json")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_train_ship_load_sample_from_the_command_line(tiny, capsys):
    assert command_line.main(["sample", "tiny"]) == 1
    assert "no shipped weights yet" in capsys.readouterr().err
    assert command_line.main(["train", "tiny", "--budget", "fast", "--ship"]) == 0
    record = zoo.manifest()["tiny"]
    assert record["command"] == "python -m vidgen_tf train tiny --budget fast" and record["seed"] == 2
    assert set(record) >= {"sha256", "bytes", "commit", "dataset", "minutes", "machine", "exam", "steps", "versions"}
    assert command_line.main(["sample", "tiny", "-n", "2", "-o", "out/clip.png"]) == 0
    assert (tiny / "out" / "clip.png").stat().st_size > 0
    assert command_line.main(["zoo", "verify"]) == 0 and command_line.main(["zoo", "list"]) == 0
    assert "psnr_db" in capsys.readouterr().out


def test_weights_come_back_in_half_precision(tmp_path):
    model, again = TinyFaces().build(), TinyFaces().build()
    zoo.write_weights(model, tmp_path / "w.weights.h5")
    zoo.read_weights(again, tmp_path / "w.weights.h5")
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a.astype(np.float16), b)


def test_damaged_and_foreign_weights_are_refused(tiny):
    zoo.train("tiny", "fast", folder="work")
    zoo.ship("tiny", folder="work")
    zoo.load("tiny")
    path = zoo.FOLDER / "tiny.weights.h5"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CourseError, match="not the file that the zoo's manifest describes"):
        zoo.load("tiny")
    path.unlink()
    with pytest.raises(CourseError, match="is missing"):
        zoo.load("tiny")
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CourseError, match="damaged"):
        zoo.read_weights(TinyFaces().build(), path)
    zoo.write_weights(dense.build_generator(TinyFaces.config), path)
    with pytest.raises(CourseError, match="another model"):
        zoo.read_weights(TinyFaces().build(), path)
    TinyFaces().build().save_weights(path)  # Keras' own format has the same suffix
    with pytest.raises(CourseError, match="not made by `train`"):
        zoo.read_weights(TinyFaces().build(), path)
    broken = TinyFaces().build()
    broken.latents.embeddings.assign(broken.latents.embeddings * np.nan)
    zoo.write_weights(broken, path)
    with pytest.raises(CourseError, match="not finite"):
        zoo.read_weights(TinyFaces().build(), path)
    with pytest.raises(CourseError, match="no model 'huge' in the zoo"):
        zoo.load("huge")


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"tiny": {}}', '{"tiny": {"file": "../../etc/passwd"}}'])
def test_a_damaged_manifest_is_one_sentence(tiny, text, capsys):
    zoo.FOLDER.mkdir()
    zoo.MANIFEST.write_text(text)
    for words in (["zoo", "list"], ["zoo", "verify"], ["sample", "tiny"]):
        assert command_line.main(words) == 1
        assert "manifest.json is damaged: restore it" in capsys.readouterr().err


def test_mistakes_in_training_are_told(tiny):
    with pytest.raises(CourseError, match="no record of tiny: train it first"):
        zoo.ship("tiny")
    with pytest.raises(CourseError, match="no budget 'huge'; there are fast, full"):
        zoo.train("tiny", "huge")
    (tiny / "file").write_text("")
    with pytest.raises(CourseError, match="Can't write"):
        zoo.train("tiny", "fast", folder=tiny / "file" / "deeper")


def test_resuming_ends_where_an_uninterrupted_run_does(tiny):
    zoo.train("tiny", "full", folder="whole")

    class Stopped(TinyFaces):
        def train(self, model, steps, checkpoint):
            super().train(model, steps, checkpoint)
            raise KeyboardInterrupt

    dense.TinyFaces = Stopped
    with pytest.raises(KeyboardInterrupt):
        zoo.train("tiny", "full", folder="parts")
    assert not list(tiny.glob("parts/*.h5"))
    dense.TinyFaces = TinyFaces
    zoo.train("tiny", "full", folder="parts", resume=True)
    assert zoo.sha256(tiny / "whole" / "tiny.weights.h5") == zoo.sha256(tiny / "parts" / "tiny.weights.h5")


@pytest.mark.parametrize("name", sorted(zoo.manifest()))
def test_every_shipped_model_is_what_its_record_says(name):
    """Its sha256, its size, its data's checksum, and its exam, sat again here."""
    from vidgen_tf import datasets

    record = zoo.manifest()[name]
    assert zoo.checked(name).stat().st_size == record["bytes"] < 6e6
    data = record["dataset"]
    assert datasets.checksum(data["name"], data["split"]) == data["sha256"], "trained on data that this code no longer makes"
    exam = zoo.recipe(name).examine(zoo.load(name))
    assert exam.keys() == record["exam"].keys()
    for key, value in exam.items():
        assert value == pytest.approx(record["exam"][key], rel=0.02), key


def test_the_zoo_is_small_and_complete():
    assert set(zoo.manifest()) == set(zoo.RECIPES)
    assert not any(record["commit"].endswith("+") for record in zoo.manifest().values()), "trained by code that isn't committed"
    assert sum(path.stat().st_size for path in zoo.FOLDER.glob("*")) < 40e6  # a clone stays a matter of seconds


def test_the_readme_shows_the_recorded_exams():
    readme = (zoo.FOLDER.parents[1] / "README.md").read_text()
    for name, record in zoo.manifest().items():
        if name.startswith("judge-"):
            result = f"right in {min(record['exam'].values()):.2%} or more"
        else:
            result = ", ".join(f"{key.replace('_', ' ')} {value:.3g}" for key, value in sorted(record["exam"].items()))
        assert f"| {name} | {record['bytes'] / 1e6:.1f} | {record['minutes']:.1f} | {result} |\n" in readme, name


def test_an_interrupted_experiment_goes_on_with_the_rows_that_it_has(tmp_path):
    path, made = tmp_path / "rows.json", []

    def make(name):
        if name == "third" and "third" not in made:
            made.append(name)
            raise KeyboardInterrupt
        made.append(name)
        return {"value": len(made)}

    with pytest.raises(KeyboardInterrupt):
        zoo.rows_of(path, ["first", "second", "third"], make)
    rows = zoo.rows_of(path, ["first", "second", "third"], make)
    assert made == ["first", "second", "third", "third"] and not path.exists()
    assert rows == [{"recipe": name, "value": value} for name, value in (("first", 1), ("second", 2), ("third", 4))]
    path.write_text("{")
    with pytest.raises(CourseError, match="rows.json is damaged: delete it"):
        zoo.rows_of(path, ["first"], make)
