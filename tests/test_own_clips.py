"""Text to video of a user's own captioned videos: what is read, what is refused, and a small model trained from nothing."""

import functools
import io
import json
import shutil
import tarfile
import warnings

import numpy as np
import pytest

from vidgen_tf import cli, subwords
from vidgen_tf.errors import CourseError
from vidgen_tf.models.space_time_dit import SpaceTimeConfig
from vidgen_tf.pipelines.own_clips import RECORD, VOCABULARY, is_own, own_text_to_video
from vidgen_tf.pipelines.text_to_video import text_to_video
from vidgen_tf.recipes import own_clips
from vidgen_tf.video import Clip
from vidgen_tf.worlds import captioned

COLOURS = {"red": (230, 30, 30), "blue": (30, 30, 230)}


def clip_of(colour, rng, num_frames=16, height=48, width=64):
    """A square of a colour that drifts to the right over a grey ground."""
    frames = np.full((num_frames, height, width, 3), int(rng.integers(100, 140)), np.uint8)
    top, left = (int(rng.integers(8, 14)) for _ in range(2))
    for t in range(num_frames):
        frames[t, top : top + 20, left + t : left + t + 20] = COLOURS[colour]
    return Clip(frames, fps=8)


def write_clips(folder, count=24, suffix=".gif"):
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for i in range(count):
        colour = list(COLOURS)[i % 2]
        clip_of(colour, rng).save(folder / f"{colour}{i}{suffix}")
        (folder / f"{colour}{i}.txt").write_text(f"a {colour} square drifts\n\nthe square is {colour}\n")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("data") / "clips")


def test_text_files_beside_videos_are_their_captions(folder, tmp_path):
    clips, captions = captioned.load(folder, unpacked=tmp_path)
    assert clips.frames.shape == (24, 16, 64, 64, 3) and len(captions) == 24
    for file, told in zip(clips.states["file"], captions):
        colour = "red" if "red" in file else "blue"
        assert told == [f"a {colour} square drifts", f"the square is {colour}"]


def test_tables_name_files_and_captions(tmp_path):
    clip = clip_of("red", np.random.default_rng(1))
    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    for name in ("a.gif", "sub/b.gif", "c.gif"):
        clip.save(data / name)
    (data / "metadata.csv").write_text('file_name,text\na.gif,first\nsub/b.gif,"second, with a comma"\na.gif,again\n')
    (data / "more.jsonl").write_text(
        json.dumps({"video": "c.gif", "caption": "第三"}, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    clips, captions = captioned.load(data, unpacked=tmp_path)
    names = [file.removeprefix("data/") for file in clips.states["file"]]
    assert dict(zip(names, captions)) == {"a.gif": ["first", "again"], "c.gif": ["第三"], "sub/b.gif": ["second, with a comma"]}


def write_tar(path, members):
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def test_tar_files_of_webdataset_are_unpacked_and_lead_nowhere_else(tmp_path):
    data, gif = tmp_path / "data", tmp_path / "x.gif"
    data.mkdir()
    clip_of("blue", np.random.default_rng(1)).save(gif)
    content = gif.read_bytes()
    members = {
        "000.gif": content,
        "000.txt": b"blue",
        "../../001.gif": content,
        "../../001.json": b'{"caption": ["also", "blue"]}',
    }
    members |= {"run.sh": b"echo", "./002.video.gif": content, "./002.caption.txt": b"third", "002.json": b'{"width": 64}'}
    write_tar(data / "a.tar", members)
    clips, captions = captioned.load(data, unpacked=tmp_path / "out")
    assert sorted(captions) == [["also", "blue"], ["blue"], ["third"]] and len(clips) == 3
    assert captioned.load(data, unpacked=tmp_path / "out")[1] == captions  # unpacked already
    assert not (tmp_path / "001.gif").exists() and not list(tmp_path.rglob("run.sh"))
    whole = (data / "a.tar").read_bytes()
    header = 512 + -(-len(content) // 512) * 512  # where that of the second member begins
    for length in (700, header + 100, header + 600):
        (data / "a.tar").write_bytes(whole[:length])
        with pytest.raises(CourseError, match=r"a\.tar is damaged, cut short"):
            captioned.load(data, unpacked=tmp_path / "out")


def test_what_has_no_caption_or_no_video_is_told(tmp_path, folder):
    with pytest.raises(CourseError, match="There is no folder"):
        captioned.load(tmp_path / "none", unpacked=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CourseError, match="holds no captions: put a text file beside each video"):
        captioned.load(tmp_path / "empty", unpacked=tmp_path)
    (tmp_path / "empty" / "metadata.csv").write_text("file_name,text\na.mp4,something\n")
    with pytest.raises(CourseError, match="holds no videos"):
        captioned.load(tmp_path / "empty", unpacked=tmp_path)
    clip_of("red", np.random.default_rng(1)).save(tmp_path / "empty" / "b.gif")
    with pytest.raises(CourseError, match=r"No video in .* has a caption"):
        captioned.load(tmp_path / "empty", unpacked=tmp_path)
    (tmp_path / "empty" / "c.txt").write_text("told")
    clip_of("red", np.random.default_rng(2)).save(tmp_path / "empty" / "c.gif")
    with pytest.warns(UserWarning, match="1 videos in .* have no caption"):
        clips, _ = captioned.load(tmp_path / "empty", unpacked=tmp_path)
    assert len(clips) == 1
    with warnings.catch_warnings(), pytest.raises(CourseError, match="1 clips with captions, and at least 20 are needed"):
        warnings.simplefilter("ignore")
        own_clips.train(tmp_path / "empty", tmp_path / "out")


def test_whole_videos_are_kept_apart():
    videos = np.repeat([f"{i}.mp4" for i in range(20)], 3)
    held_out = own_clips.kept_apart(videos, seed=1)
    assert held_out.sum() == 6 and all(len({*held_out[videos == name]}) == 1 for name in videos)
    unequal = np.repeat(["long.mp4", "a.mp4", "b.mp4"], [40, 5, 5])
    for seed in range(5):
        held_out = own_clips.kept_apart(unequal, seed)
        assert held_out.sum() == 5 and not held_out[:40].any()
    assert not np.array_equal(held_out, own_clips.kept_apart(videos, seed=2))
    assert own_clips.kept_apart(np.array(["one.mp4"] * 30), seed=0).tolist() == [False] * 27 + [True] * 3


def test_another_tar_file_of_the_same_name_is_unpacked_anew(tmp_path):
    gif = tmp_path / "x.gif"
    clip_of("blue", np.random.default_rng(1)).save(gif)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_tar(tmp_path / name / "a.tar", {f"{name}.gif": gif.read_bytes(), f"{name}.txt": name.encode()})
        assert captioned.load(tmp_path / name, unpacked=tmp_path / "out")[1] == [[name]]


def test_one_root_without_clips_is_passed_over_with_a_note(folder, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "preview.png").write_bytes(b"no picture")
    write_tar(data / "a.tar", {path.name: path.read_bytes() for path in folder.glob("red0.*")})
    with pytest.warns(UserWarning, match="Skipped"):
        assert len(captioned.load(data, unpacked=tmp_path / "out")[0]) == 1


def test_results_inside_of_the_data_are_refused(folder):
    with pytest.raises(CourseError, match="let the results go elsewhere"):
        captioned.load(folder, unpacked=folder / "out" / "unpacked")


def test_a_checkpoint_of_other_clips_is_refused_and_left_alone(folder, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(own_clips, "build", stop)
    with pytest.raises(KeyboardInterrupt):
        own_clips.train(folder, tmp_path, "fast")
    (tmp_path / "checkpoint.npz").write_bytes(b"a checkpoint")
    with pytest.raises(KeyboardInterrupt):  # of the same clips and settings: it goes on
        own_clips.train(folder, tmp_path, "fast", resume=True)
    for options in ({"budget": "full"}, {"seed": 1}):
        with pytest.raises(CourseError, match=r"checkpoint\.npz is of other clips, captions or settings"):
            own_clips.train(folder, tmp_path, **{"budget": "fast"} | options, resume=True)
    with pytest.raises(CourseError, match="There is no folder"):
        own_clips.train(tmp_path / "typo", tmp_path)
    assert (tmp_path / "checkpoint.npz").read_bytes() == b"a checkpoint"


def test_more_letters_than_tokens_are_all_in_the_vocabulary(tmp_path):
    letters = [chr(0x4E00 + i) for i in range(700)]
    subwords.train({"own": ["".join(letters[i : i + 7]) for i in range(0, 700, 7)]}, tmp_path / VOCABULARY)
    assert subwords.load(tmp_path / VOCABULARY)[0].get_vocab_size() >= 700
    ids = subwords.encode([letters[699]], path=tmp_path / VOCABULARY)
    assert ids.max() > subwords.VOCABULARY_SIZE
    subwords.train({"own": ["a"]}, tmp_path / VOCABULARY)  # is read anew, not remembered
    assert subwords.encode(["a"], path=tmp_path / VOCABULARY).max() == 1


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """A small model of the clips, and what its training says of it."""
    out = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_clips, "STEPS", {"fast": 300})
        patch.setattr(own_clips, "TEXT_STEPS", {"fast": 200})
        patch.setattr(own_clips, "NUM_SHOWN", 4)
        sizes = {"hidden_dim": 48, "num_layers": 2, "text_dim": 16, "text_layers": 1}
        patch.setattr(own_clips, "SpaceTimeConfig", functools.partial(SpaceTimeConfig, **sizes))
        scores = own_clips.train(folder, out, "fast")
    return out, scores


@pytest.mark.slow
def test_a_folder_becomes_a_model_that_does_what_prompts_say(trained):
    out, scores = trained
    assert (scores["num_clips"], scores["num_kept_apart"]) == (22, 2) and "memorized_share" not in scores
    assert scores["loss"] < 1.4, "2 is what a model reaches that has learned nothing"
    assert scores["validation_loss"] > scores["loss"], "a few clips are known by heart"
    assert is_own(out) and len(Clip.load(out / "samples.webp")) == 16
    prompts = ["a red square drifts", "the square is blue"] * 4
    clips = text_to_video(prompts, folder=out)
    reds = [float(np.mean(clip.frames[..., 0].astype(int) - clip.frames[..., 2])) for clip in clips]
    assert min(reds[::2]) > max(reds[1::2]), "each red clip is redder than any blue one"
    assert clips[0].caption == prompts[0]
    again = own_text_to_video(out, prompts[:1])
    assert np.array_equal(again[0].frames, own_text_to_video(out, prompts[:1])[0].frames)
    with pytest.raises(CourseError, match=r"words that the model never saw.*green"):
        own_text_to_video(out, ["a green square drifts"])


@pytest.mark.slow
def test_a_model_of_own_clips_is_sampled_from_the_command_line(trained, tmp_path, capsys):
    command = ["sample", "text-to-video", "--weights", str(trained[0]), "--prompt", "a blue square drifts"]
    assert cli.main([*command, "-o", str(tmp_path / "a.png")]) == 0
    assert len(Clip.load(tmp_path / "a.png")) == 16
    damaged = shutil.copytree(trained[0], tmp_path / "damaged")  # other tests use the model
    (damaged / RECORD).write_text("{")
    command[command.index(str(trained[0]))] = str(damaged)
    assert cli.main([*command, "-o", str(tmp_path / "b.png")]) == 1
    assert "is missing or damaged: train with" in capsys.readouterr().err


def test_captions_of_training_may_be_long_and_have_words_of_their_own(tmp_path):
    path = tmp_path / VOCABULARY
    subwords.train({"own": ["a red ball", "a blue ball"]}, path)
    ids = subwords.encode(["a zebra and a red ball " * 30], path=path, is_strict=False)
    assert ids.shape == (1, subwords.PROMPT_LENGTH) and np.all(ids > 0)
    with pytest.raises(CourseError, match="zebra"):
        subwords.encode(["a zebra"], path=path)


@pytest.mark.parametrize("arguments, said", [
    (["train", "dcgan-faces", "--data", "x"], "Only text-to-video is trained on --data"),
    (["train", "text-to-video", "--data", "x", "--steps", "100"], "--steps: not with --data"),
    (["train", "text-to-video", "--fps", "8"], "--fps is for your own videos"),
    (["train", "text-to-video", "--data", "nowhere"], "nowhere: give one that holds videos"),
])  # fmt: skip
def test_what_does_not_go_with_data_is_refused(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 1
    assert said in capsys.readouterr().err
