"""A headless Chromium for tests: it knows no name but this machine's, and says what it requested."""

import asyncio
import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time

from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import websocket_connect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
OPTIONS += [
    "--lang=en-US",
    "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


class Browser:
    """A page, driven by the browser's own protocol. `requests` are the addresses that it asked for."""

    def __init__(self, socket_):
        self.socket, self.count, self.requests = socket_, 0, []

    async def call(self, method, **parameters):
        self.count += 1
        await self.socket.write_message(json.dumps({"id": self.count, "method": method, "params": parameters}))
        while True:
            message = json.loads(await self.socket.read_message())
            if message.get("method") == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            if message.get("id") == self.count:
                return message.get("result", {})

    async def resize(self, width, height):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < height}
        await self.call("Emulation.setDeviceMetricsOverride", **size)

    async def value(self, script):
        found = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        return found["result"].get("value")

    async def until(self, script, seconds=120):
        end = time.monotonic() + seconds
        while not (found := await self.value(script)):
            assert time.monotonic() < end, f"never true: {script}\n{await self.value('document.body.innerText')}"
            await asyncio.sleep(0.3)
        return found

    async def screenshot(self, path):
        shot = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    async def draw(self, points):
        """A stroke with the mouse pressed, through points in px of the window."""
        for i, (x, y) in enumerate(points):
            kind = "mousePressed" if i == 0 else "mouseMoved"
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)
        await self.call("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", clickCount=1)


@contextlib.contextmanager
def chromium(profile):
    """Starts a browser with its files in a folder; gives the port at which it can be driven."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", f"--remote-debugging-port={port}", "about:blank"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


async def open_page(port, address, width, height):
    """The browser's page, at an address."""
    for _ in range(200):
        try:
            pages = json.loads((await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/json")).body)
            break
        except OSError:
            await asyncio.sleep(0.3)
    target = next(page for page in pages if page["type"] == "page")
    browser = Browser(await websocket_connect(target["webSocketDebuggerUrl"], max_message_size=2**28))
    for domain in ("Network", "Page", "Runtime"):
        await browser.call(f"{domain}.enable")
    await browser.resize(width, height)
    await browser.call("Page.navigate", url=address)
    return browser
