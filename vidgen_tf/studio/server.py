"""Serves the studio: on this machine alone, or on the local network behind a password, without a request to anywhere else."""

import os
import socket
import threading
from pathlib import Path

from ..errors import CourseError
from .history import History
from .uploads import MAX_UPLOAD

LOCAL, LAN = "127.0.0.1", "0.0.0.0"
USER = "studio"
MIN_PASSWORD = 10  # characters
MAX_WAITING = 64  # jobs in a queue; who comes later is told that the queue is full
QUIET = {  # set before Gradio is imported: it would report that it was started, and ask for its latest version
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def start(folder, port, password=None, is_warm=True, history_megabytes=None):
    """Starts the studio's server in the background.

    Args:
        folder: str or Path. Results go to `results` in it and stay; what visitors upload goes to `uploads`, for an hour or two.
        port: int; 0 for any that is free.
        password: None to serve this machine alone; a str of 10 characters or more to serve the local network to those who know
            it. Its way there is not encrypted.
        is_warm: whether the text-to-video models are read at once, in the background.
        history_megabytes: of results that are kept; when they are reached nothing more is made. None for no limit.

    Returns:
        `gradio.Blocks`, whose `local_url` is where the page is, and whose `close` ends it.

    Raises:
        CourseError: a folder that can't be written to, a port that is taken, or a short password.
    """
    if password is not None and len(password) < MIN_PASSWORD:
        raise CourseError(f"A password for the network needs at least {MIN_PASSWORD} characters.")
    history, host = History(Path(folder) / "results", history_megabytes), LOCAL if password is None else LAN
    port = _free_port(host, port)
    os.environ.update(QUIET, GRADIO_TEMP_DIR=str(history.folder.with_name("uploads")))
    for name in ("NO_PROXY", "no_proxy"):  # Gradio asks its own server whether it is there
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), LOCAL, "localhost"]))
    from .page import Page

    blocks = Page(history).blocks.queue(max_size=MAX_WAITING, default_concurrency_limit=8)
    _launch(blocks, history, host, port, password)
    if is_warm:
        threading.Thread(target=_read_models, daemon=True).start()
    return blocks


def _launch(blocks, history, host, port, password):
    from gradio import themes

    from .view import CSS

    fonts = {"font": ("system-ui", "sans-serif"), "font_mono": ("ui-monospace", "monospace")}  # those of the visitor's system
    theme = themes.Base(primary_hue="indigo", neutral_hue="slate", **fonts)
    theme.set(
        button_primary_background_fill="*primary_700",
        button_primary_text_color="white",
        body_text_color_subdued="*neutral_600",  # a contrast of 4.5 to the ground, or more
        body_text_color_subdued_dark="*neutral_300",
    )
    blocks.launch(
        server_name=host,
        server_port=port,
        auth=None if password is None else (USER, password),
        allowed_paths=[str(history.folder)],
        max_file_size=MAX_UPLOAD,
        prevent_thread_lock=True,
        share=False,
        quiet=True,
        footer_links=[],
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        theme=theme,
        css=CSS,
    )


def _free_port(host, port):
    """The port, or any free one for 0; complains in a sentence where it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CourseError(f"Port {port} is taken: end what uses it, or choose another with --port.") from error
        return probe.getsockname()[1]


def _read_models():
    """Reads what most visitors ask for first, so that nobody waits for it."""
    from ..pipelines.text_to_video import load_pretrained
    from .jobs import model_in_use

    for dataset in ("faces", "shapes", "digits"):
        with model_in_use(f"text-to-video-{dataset}"):
            load_pretrained(dataset)
