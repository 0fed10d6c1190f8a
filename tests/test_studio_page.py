"""The studio's page as its visitors meet it: bad input, many at once, stopping, files, and the network."""

import concurrent.futures
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from vidgen_tf.cli import main
from vidgen_tf.errors import CourseError
from vidgen_tf.studio import server
from vidgen_tf.studio.jobs import Result, Step
from vidgen_tf.video import Clip

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE, CORNER = "English", "中文", "bottom right"
CLIP = Clip(np.full((16, 32, 32, 1), 90, np.uint8))


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A running studio: its address and its folder."""
    folder = tmp_path_factory.mktemp("studio")
    blocks = server.start(folder, 0, is_warm=False)
    yield blocks.local_url, folder
    blocks.close(verbose=False)


@pytest.fixture
def quick(monkeypatch):
    """Text-to-video without a model: four steps of nothing."""
    from vidgen_tf.studio import page

    def job(inputs, on_step):
        for i in range(4):
            time.sleep(inputs[1] / 1000)  # the seed says how long a step takes
            on_step(Step(i + 1, 4, CLIP))
        return [Result(CLIP, inputs[0], {"models": ["none"], "seed": inputs[1]})]

    monkeypatch.setitem(page.JOBS, "prompt_to_video", job)


def connect(studio):
    """A visitor; the machine may be busy."""
    return Client(studio[0], verbose=False, httpx_kwargs={"timeout": 120})


def ask(client, name, *inputs, language=ENGLISH):
    """What the status says at the end, and what is shown."""
    return client.submit(language, CORNER, *inputs, api_name=f"/{name}").result(timeout=240)


BAD = [
    *[
        ("prompt_to_video", (prompt, 0, True, 2))
        for prompt in ("", "   ", "zebra", "狮子", "red " * 5000, "a" * 10**5, "\x00", "{{x}}")
    ],
    *[
        ("prompt_to_video", (prompt, 0, True, 2))
        for prompt in ("<script>alert(1)</script>", "../../etc/passwd", "'; DROP TABLE", "🦓")
    ],
    *[
        ("prompt_to_video", (prompt, 0, True, 2))
        for prompt in (
            "a red sircle falls",
            "a red blue circle falls",
            "a circle and a square and a triangle",
            "digit 3 red circle",
        )
    ],
    *[("prompt_to_picture", (prompt, 0, 1)) for prompt in ("", "zebra", "red " * 5000, "\u202e", "a\tred\nzebra")],
    *[("prompt_to_picture", ("a red circle falls", seed, 1)) for seed in (-1, 0.5, 10**12)],
    *[("prompt_to_video", ("a red circle falls", seed, True, 2)) for seed in (-1, 1.5, 10**12, None)],
    *[("prompt_to_video", ("a red circle falls", 0, False, scale)) for scale in (-1, 99)],
    *[("prompt_to_picture", ("a red circle falls", 0, frame)) for frame in (0, 17)],
    *[
        ("edit_prompt", ("a red circle falls", old, new, 0))
        for old, new in (("blue", "red"), ("", "red"), ("red", ""), ("red", "3"))
    ],
    *[("compare_models", (prompt, 0)) for prompt in ("a red circle falls", "")],
    *[("transfer_motion", (None, person, None, 1)) for person in (0, 13)],
    *[("predict_next", ("svg-digits", scene, 0)) for scene in (0, 1001)],
    *[("sketch_to_video", (None, None, prompt, 0)) for prompt in ("smiles", "a zebra", "")],
    *[("stylize", (None, person, "woodcut", None)) for person in (0, 13)],
]


def test_bad_input_gets_one_sentence_each_and_the_server_lives_on(studio):
    client = connect(studio)
    for i, (name, inputs) in enumerate(BAD):
        if any(value is False for value in inputs):  # beyond the slider's range: Gradio itself refuses it
            with pytest.raises(AppError, match="than"):
                ask(client, name, *inputs)
            continue
        status, shown = ask(client, name, *inputs, language=(ENGLISH, CHINESE)[i % 2])
        assert 'role="alert"' in status and not shown, (name, inputs)
        assert "<script" not in status and "{{" not in status and "Traceback" not in status
        assert len(status) < 900
    assert len(BAD) >= 46, "with the files below, fifty"


def test_bad_files_get_one_sentence_each(studio, tmp_path):
    client = connect(studio)
    Image.new("1", (10_000, 10_000)).save(tmp_path / "huge.png")
    (tmp_path / "program.exe").write_bytes(b"MZ")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "<b>{{x}}.svg").write_text("<svg/>")
    for name, words in {
        "huge.png": "megapixels",
        "program.exe": "type",
        "text.png": "can&#x27;t be read",
        "<b>{{x}}.svg": "type",
    }.items():
        status, _ = ask(client, "transfer_motion", handle_file(tmp_path / name), 1, None, 1)
        assert words in status and 'role="alert"' in status and "{{" not in status and str(tmp_path) not in status


def test_a_result_is_shown_kept_and_can_be_downloaded(studio, quick):
    client = connect(studio)
    job = client.submit(ENGLISH, "top left", "a red circle falls", 1, True, 2, api_name="/prompt_to_video")
    status, shown = job.result(timeout=120)
    assert "Done in" in status and "<video controls" in shown and 'aria-label="a red circle falls"' in shown
    assert any("Step 4 of 4" in seen[0] and "data:image/webp" in seen[1] for seen in job.outputs()), "previews came before"
    assert "a red circle falls" in client.predict(CHINESE, api_name="/history")
    for address in [part.split('"')[0] for part in shown.split('href="')[1:]]:
        with urllib.request.urlopen(f"{studio[0]}{address}") as reply:
            assert len(reply.read()) > 1000


def test_a_blind_vote_is_counted_once_and_only_then_names_the_models(studio, monkeypatch):
    from vidgen_tf.studio import page

    clips = [Result(CLIP, "the digit 3 is moving up then down .", {"models": [name], "seed": 0}) for name in ("one", "other")]
    monkeypatch.setitem(page.JOBS, "blind_test", lambda inputs, on_step: clips)
    client, votes = connect(studio), studio[1] / "votes.jsonl"
    assert "no pair" in client.predict(ENGLISH, api_name="/vote_a")[0] and not votes.exists()
    status, shown = client.submit(ENGLISH, CORNER, api_name="/blind_test").result(timeout=240)
    assert "Done" in status and shown.count("<video") == 2 and "<b>A</b>" in shown and "other" not in shown
    status, shown = client.predict(ENGLISH, api_name="/vote_b")
    assert "one was preferred in 0 of 1 answers" in status and "other" in shown
    assert "no pair" in client.predict(ENGLISH, api_name="/vote_b")[0], "a pair is judged once"
    assert json.loads(votes.read_text()) == {"better": "other", "worse": "one"}


def test_the_key_that_signs_is_not_given_out(studio, quick):
    address, folder = studio
    ask(connect(studio), "prompt_to_video", "signed", 1, True, 2)
    for name in ("key.pem", "certificate.pem"):
        place = folder / "certificate" / name
        assert place.is_file()
        for path in (place, folder / "results" / ".." / "certificate" / name):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{address}gradio_api/file={urllib.request.quote(str(path))}")
            assert refused.value.code in (403, 404)


def test_twenty_users_at_once_are_all_served(studio, quick):
    def visit(i):
        return ask(connect(studio), "prompt_to_video", f"visitor {i}", 1, True, 2)

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        found = list(pool.map(visit, range(20)))
    assert all("Done in" in status and f"visitor {i}" in shown for i, (status, shown) in enumerate(found))


def test_a_job_can_be_stopped_and_the_next_one_runs(studio, quick):
    client = connect(studio)
    job = client.submit(ENGLISH, CORNER, "stopped", 2000, True, 2, api_name="/prompt_to_video")
    while not any("Step 1" in seen[0] for seen in job.outputs()):
        time.sleep(0.05)
    began = time.monotonic()
    assert "Stopped" in client.predict(ENGLISH, api_name="/stop_prompt_to_video")
    status, _ = ask(connect(studio), "prompt_to_video", "after it", 1, True, 2)
    assert "Done in" in status
    assert "stopped" not in client.predict(ENGLISH, api_name="/history") and time.monotonic() - began < 60


@pytest.mark.parametrize("path", ["/etc/passwd", "{folder}/results/../x", "{root}/pyproject.toml", "{root}/course.py"])
def test_no_file_outside_the_history_is_given_out(studio, path):
    address, folder = studio
    (folder / "x").write_text("not the page's")
    place = path.format(folder=folder, root=ROOT)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}gradio_api/file={urllib.request.quote(place)}")
    assert refused.value.code in (403, 404)


def test_it_serves_this_machine_alone(studio):
    port = int(studio[0].rstrip("/").rsplit(":", 1)[1])
    listening = (
        [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]] if Path("/proc/net/tcp").exists() else []
    )
    places = {fields[1].split(":")[0] for fields in listening if fields[3] == "0A" and int(fields[1].split(":")[1], 16) == port}
    assert places <= {"0100007F"}, "127.0.0.1"
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"


def test_the_network_needs_a_password_and_a_free_port(tmp_path, studio, capsys, monkeypatch):
    with pytest.raises(CourseError, match="at least 10"):
        server.start(tmp_path, 0, password="short")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CourseError, match="is taken"):
            server.start(tmp_path, taken.getsockname()[1])
    monkeypatch.delenv("VIDGEN_STUDIO_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["studio", "--share-on-lan", "--port", "0", "-o", str(tmp_path)]) == 1
    assert "needs a password" in capsys.readouterr().err


def serve(folder):
    """The command as a process of its own, and the address that it has printed."""
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from vidgen_tf.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "studio", "--port", "0", "-o", str(folder)]
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTEST_CURRENT_TEST", "TF_CPP_MIN_LOG_LEVEL")}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=kept, cwd=ROOT)
    return process, process.stdout.readline().split()[4]


def test_a_server_that_is_killed_in_a_job_has_lost_nothing_that_was_finished(tmp_path):
    """With the shipped models, from a cold start."""
    began = time.monotonic()
    process, address = serve(tmp_path / "studio")
    seconds = []
    try:
        client = connect((address,))
        for _ in range(2):
            status, _shown = ask(client, "prompt_to_video", "a red circle falls", 1, True, 2)
            assert "Done in" in status
            seconds.append(time.monotonic() - began)
        job = client.submit(ENGLISH, CORNER, "a blue square falls", 1, True, 2, api_name="/prompt_to_video")
        while not any("Step" in seen[0] for seen in job.outputs()):
            time.sleep(0.02)
    finally:
        process.kill()
        process.communicate()
    assert seconds[0] < 120 and seconds[1] - seconds[0] < 30, seconds
    results = tmp_path / "studio" / "results"
    before = {path: path.read_bytes() for path in results.glob("2*/*")}
    process, address = serve(tmp_path / "studio")
    try:
        shown = connect((address,)).predict(ENGLISH, api_name="/history")
        assert shown.count("<video controls") == 2 and "a blue square" not in shown
    finally:
        process.kill()
        process.communicate()
    assert {path: path.read_bytes() for path in before} == before and not list(results.glob(".part-*"))
    assert len(before) == 2 * 5, "four files and a record each"


def test_the_command_serves_a_page_and_ctrl_c_ends_it(tmp_path):
    """Also while TensorFlow is being read in the background."""
    process, address = serve(tmp_path / "studio")
    try:
        with urllib.request.urlopen(address) as reply:
            assert b"Video studio" in reply.read()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in said, said
