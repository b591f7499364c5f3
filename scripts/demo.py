#!/usr/bin/env python3
"""Records the terminal demo of README.md: docs/demo.cast (asciicast v2) and docs/demo.svg.

    scripts/demo.py [BINARY]     the binary: target/debug/tollgate without it

The commands run against a demo server in a temporary folder. `asciinema play docs/demo.cast` plays the recording; the SVG
shows its lines one after the other, and all of them to readers who have turned motion off.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request
from html import escape

ROOT = pathlib.Path(__file__).resolve().parent.parent
WIDTH, FONT, LINE = 96, 14, 20
PROXY, CONTROL = "127.0.0.1:8080", "127.0.0.1:8787"
# What is typed, and the number of lines that are kept of its output.
COMMANDS = [
    ("tollgate serve --demo &", 8),
    ("KEY=$(grep -om1 'tollgate_[0-9a-f]*' tollgate-data/demo-keys.json)", 0),
    (
        f"curl -sN http://{PROXY}/v1/chat/completions -H \"Authorization: Bearer $KEY\" \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        '  -d \'{"model": "mock", "stream": true, "messages": [{"role": "user", "content": "Hello"}]}\' \\\n'
        '  | grep -o \'"content":"[^"]*"\'',
        6,
    ),
    (f'curl -s http://{CONTROL}/api/usage/today -H "Authorization: Bearer $KEY" \\\n  | jq -c \'{{requests, credits, cost, remaining}}\'', 1),
    ("tollgate budgets set --user demo-starter@tollgate.invalid --money '5 USD' --per month", 1),
    ("tollgate audit", 1),
]


class Recording:
    """The events of an asciicast: seconds since the begin, and text."""

    def __init__(self):
        self.events, self.now = [], 0.0

    def add(self, text, pause):
        """Adds `text` after a pause of so many seconds."""
        self.now += pause
        self.events.append((round(self.now, 3), text))

    def typed(self, command):
        """Adds a prompt and a command, one character at a time."""
        self.add("$ ", 0.6)
        for letter in command:
            self.add("\r\n" if letter == "\n" else letter, 0.012)
        self.add("\r\n", 0.3)

    def cast(self):
        """Returns the recording as asciicast v2."""
        header = {"version": 2, "width": WIDTH, "height": 30, "title": "Tollgate in a minute", "env": {"SHELL": "/bin/sh", "TERM": "xterm-256color"}}
        return "".join(json.dumps(line) + "\n" for line in [header, *([at, "o", text] for at, text in self.events)])

    def svg(self):
        """Returns the recording as an SVG whose lines appear at their time."""
        lines, text = [], ""
        for at, part in self.events:
            text += part
            while "\r\n" in text:
                line, text = text.split("\r\n", 1)
                lines.append((at, line))
        height = LINE * (len(lines) + 1)
        rows = "\n".join(
            f'<text x="12" y="{LINE * (row + 1)}" class="{"c" if line.startswith(("$ ", "  -", "  |")) else "o"}" '
            f'style="animation-delay:{at:.2f}s" xml:space="preserve">{escape(line)}</text>'
            for row, (at, line) in enumerate(lines)
        )
        return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * 8 + 90} {height}" role="img" aria-label="A recorded terminal">
<style>
rect {{ fill: #14181d }} text {{ font: {FONT}px ui-monospace, monospace; animation: show 0.01s both }}
.c {{ fill: #f0f3f6 }} .o {{ fill: #9db2c6 }}
@keyframes show {{ from {{ opacity: 0 }} to {{ opacity: 1 }} }}
@media (prefers-reduced-motion: reduce) {{ text {{ animation: none }} }}
</style>
<rect width="100%" height="100%" rx="8"/>
{rows}
</svg>
"""


def main():
    binary = pathlib.Path((sys.argv[1:] or [ROOT / "target/debug/tollgate"])[0]).resolve()
    recording = Recording()
    with tempfile.TemporaryDirectory(prefix="tollgate-demo-") as folder:
        (pathlib.Path(folder) / "tollgate").symlink_to(binary)
        environment = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": folder}
        (command, kept), *others = COMMANDS
        recording.typed(command)
        with open(f"{folder}/out", "wb") as out:
            server = subprocess.Popen(["tollgate", "serve", "--demo"], cwd=folder, env=environment, stdout=out, stderr=subprocess.DEVNULL)
        try:
            wait(server)
            show(recording, pathlib.Path(f"{folder}/out").read_text(), kept)
            state = ""
            for command, kept in others:
                recording.typed(command)
                if kept == 0:
                    state += command + "\n"
                    continue
                result = subprocess.run(["bash", "-c", state + command], cwd=folder, env=environment, check=True, capture_output=True, text=True)
                show(recording, result.stdout, kept)
                # Usage is stored within a second.
                time.sleep(1)
        finally:
            server.terminate()
            server.wait()
    (ROOT / "docs/demo.cast").write_text(recording.cast())
    (ROOT / "docs/demo.svg").write_text(recording.svg())


def wait(server):
    """Waits until the demo server is ready."""
    for _ in range(600):
        if server.poll() is not None:
            sys.exit(f"the demo server ended: are the ports of {PROXY} and {CONTROL} free?")
        try:
            urllib.request.urlopen(f"http://{CONTROL}/readyz", timeout=1)
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("the demo server is not ready")


def show(recording, output, kept):
    """Adds the first lines of an output that are not empty, cut to the width of the terminal."""
    lines = [line for line in output.splitlines() if line.strip()][:kept]
    for line in lines:
        recording.add(line[:WIDTH] + "\r\n", 0.15)


main()
