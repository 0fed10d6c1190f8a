"""Many users of the studio at once: starts one, and says how long a first clip takes, a warm one, and one among twenty users.

python scripts/load_studio.py --users 20 --seconds 120
"""

import argparse
import concurrent.futures
import itertools
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from gradio_client import Client

ROOT = Path(__file__).parents[1]
PROMPTS = ("someone with curly red hair and glasses smiles", "a large red circle falls and bounces", "数字7先向左再向右移动。")


def start(folder):
    """A studio as a process of its own, and its address."""
    words = [sys.executable, "-m", "vidgen_tf", "studio", "--port", "0", "-o", folder]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in process.stdout:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return process, found[0]
    raise SystemExit("The studio didn't start.")


def ask(client, prompt, seed):
    """Seconds from the click to the finished clip; an error that the page shows is an error here."""
    began = time.monotonic()
    status, shown = client.submit("English", "top left", prompt, seed, True, 2, api_name="/prompt_to_video").result()
    if "Done in" not in status or "<video" not in shown:
        raise RuntimeError(status)
    return time.monotonic() - began


def visit(address, user, until):
    """One user, who asks again as soon as the last clip has come: the waits, and what went wrong."""
    client, waits, errors = Client(address, verbose=False, httpx_kwargs={"timeout": 300}), [], []
    for i in itertools.count():
        if time.monotonic() > until:
            return waits, errors
        try:
            waits.append(ask(client, PROMPTS[(user + i) % len(PROMPTS)], 1000 * user + i))
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=20, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=120, help="(default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        process, address = start(folder)
        try:
            print(f"page after {time.monotonic() - began:.1f} s", flush=True)
            client = Client(address, verbose=False)
            ask(client, PROMPTS[0], 0)
            print(f"first clip after {time.monotonic() - began:.1f} s, from a cold start", flush=True)
            for prompt in PROMPTS:
                ask(client, prompt, 1)
            print(f"warm prompt: {np.median([ask(client, prompt, 2) for prompt in PROMPTS]):.1f} s (median)", flush=True)
            until = time.monotonic() + options.seconds
            with concurrent.futures.ThreadPoolExecutor(options.users) as pool:
                visits = [pool.submit(visit, address, user, until) for user in range(options.users)]
                results = [future.result() for future in visits]
        finally:
            process.kill()
    waits = np.array([wait for waits, _ in results for wait in waits])
    errors = [error for _, errors in results for error in errors]
    print(f"{options.users} users for {options.seconds:.0f} s: {len(waits)} clips, {len(errors)} failures")
    if len(waits):
        print(f"wait: median {np.median(waits):.1f} s, 95 % within {np.percentile(waits, 95):.1f} s")
    if errors:
        raise SystemExit("\n".join(sorted(set(errors))))


if __name__ == "__main__":
    main()
