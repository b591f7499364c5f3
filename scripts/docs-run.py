#!/usr/bin/env python3
"""Runs the shell blocks of README.md and docs/ against a demo server, and fails if one fails.

    scripts/docs-run.py [BINARY] [PAGE...]     the binary: target/debug/tollgate without it; pages: all without them

A comment `<!-- not run: REASON -->` before a block leaves the block out; the last lines list these blocks. Other suites run
the blocks of `docs/runbook.md` (scripts/runbook.sh) and of `examples/` (e2e/tests/it/examples.rs). A block runs in the folder of
the server's data, with `set -e`; the blocks of one page share one shell. Addresses, ids and folders of the page are replaced
by those of the run. A server that a block starts must open its ports, and is then stopped.
"""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
ELSEWHERE = {"docs/runbook.md": "scripts/runbook.sh"}
BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>[^>]+) -->\n)?```sh\n(?P<text>.*?)```", re.S)
PASSWORD = "correct-horse-battery-staple-91"
KEY_ID = "0199aa00-0000-7000-8000-000000000000"
SECONDS_MAX = 60
# What a page needs before its first block.
BEFORE = {
    "docs/insights.md": 'curl -fsS -X POST http://127.0.0.1:8787/export/2026-11-21 -H "Authorization: Bearer $TOKEN" -o tollgate-2026-11-21.zip',
    "docs/guides/budgets.md": "tollgate users create --email ada@example.com || true",
    "docs/keys.md": "tollgate users create --email ada@example.com || true",
    "docs/prices.md": 'printf "prices: []\\n" >prices.yaml',
}

CONFIG = """
upstreams: [{name: users, backends: [{url: "http://127.0.0.1:9"}]}]
models: [{name: fast, targets: [{provider: openai, model: gpt-5-mini}]}, {name: smart, targets: [{provider: openai, model: gpt-5}]}]
auth: [{name: partners, type: key, keys: [{name: acme, value: 0123456789abcdef0123456789abcdef}]}]
plans: [{name: starter, credits_per_day: 1000}, {name: pro}, {name: business}, {name: retail}]
routes: [{path: {prefix: /users}, upstreams: users, auth: {any: [{type: key, use: partners}, {type: key}]}}]
"""

# `served` runs a server until it listens, `fresh` prints the id of a new key, `hex` the public key of the exports.
FUNCTIONS = r"""
fresh() { tollgate keys create --user "$USER_ID" | head -n 1 | cut -d ' ' -f 1; }
hex() { for file in *.zip; do tollgate verify "$file"; done | sed -n 's/^  key *//p' | head -n 1; }
served() {
    "$@" >served.out 2>served.log & local server=$!
    for _ in $(seq 600); do
        if grep -qE '"listening"|listens on|http://127' served.out served.log; then sleep 0.1; "${during:-true}"; kill $server; wait $server || true; return 0; fi
        kill -0 $server 2>/dev/null || { cat served.log >&2; return 1; }
        sleep 0.1
    done
    return 1
}
"""


def free_port():
    """Returns a port that was free at the moment of the call."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A demo server with an admin, a user and their keys."""

    def __init__(self, binary, work):
        self.work, self.proxy, self.control, self.redis = work, free_port(), free_port(), free_port()
        tools = work / "bin"
        tools.mkdir()
        (tools / "tollgate").symlink_to(binary)
        (work / "tollgate.yaml").write_text(CONFIG)
        (work / "examples").symlink_to(ROOT / "examples")
        self.environment = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(work),
            "EMAIL": "root@example.com",
            "PASSWORD": PASSWORD,
        }
        log = open(work / "server.log", "wb")
        arguments = ["serve", "--demo", "--config", "tollgate.yaml"]
        arguments += ["--listen", f"127.0.0.1:{self.proxy}", "--addr", f"127.0.0.1:{self.control}"]
        self.process = subprocess.Popen([binary, *arguments], cwd=work, env=self.environment, stdout=log, stderr=log)
        self.redis_process = subprocess.Popen(
            ["redis-server", "--port", str(self.redis), "--save", "", "--dir", str(work)], stdout=subprocess.DEVNULL
        )
        try:
            self.fill()
        except BaseException:
            self.end()
            raise

    def fill(self):
        """Waits for the server, and creates the admin, the user and the keys that pages name."""
        for _ in range(SECONDS_MAX * 10):
            if self.process.poll() is not None:
                sys.exit((self.work / "server.log").read_text())
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.control}/readyz", timeout=1)
                break
            except OSError:
                time.sleep(0.1)
        keys = json.loads((self.work / "tollgate-data/demo-keys.json").read_text())
        self.command("users", "create", "--email", "root@example.com", "--admin", "--password-stdin", text=PASSWORD + "\n")
        user = self.command("users", "create", "--service", "customer").split()[0]
        token = self.call("/api/auth/login", {"email": "root@example.com", "password": PASSWORD})["access_token"]
        tomorrow = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400))
        admin = {"label": "docs", "scopes": ["admin"], "expires_at": tomorrow, "addresses": ["127.0.0.1"]}
        customer = self.call("/api/keys", {"label": "customer", "user_id": user}, token)
        self.environment |= {
            "KEY": keys[0]["key"], "TOLLGATE_KEY": keys[0]["key"], "TOKEN": token, "ACCESS_TOKEN": token, "USER_ID": user,
            "ADMIN_KEY": self.call("/api/keys", admin, token)["key"], "CUSTOMER_KEY": customer["key"],
        }

    def command(self, *arguments, text=None):
        """Returns the output of a command of Tollgate, which reads `text`."""
        command = [self.work / "bin/tollgate", *arguments]
        options = {"cwd": self.work, "env": self.environment, "check": True, "capture_output": True, "text": True}
        return subprocess.run(command, input=text, **options).stdout

    def call(self, path, body, token=None):
        """Returns the response of the admin API to a POST."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(f"http://127.0.0.1:{self.control}{path}", json.dumps(body).encode(), headers)
        return json.load(urllib.request.urlopen(request, timeout=30))

    def localized(self, text):
        """Returns `text` with the addresses, ids and folders of this run."""
        mock = free_port()
        for old, new in {
            "127.0.0.1:8080": f"127.0.0.1:{self.proxy}",
            "127.0.0.1:8787": f"127.0.0.1:{self.control}",
            "https://control.example.com": f"http://127.0.0.1:{self.control}",
            "https://tollgate.example.com": f"http://127.0.0.1:{self.control}",
            "127.0.0.1:8090": f"127.0.0.1:{mock}",
            "203.0.113.7": "127.0.0.1",
            "redis-cli ": f"redis-cli -p {self.redis} ",
            KEY_ID: "$(fresh)",
            "/var/lib/tollgate": str(self.work / "restored"),
            "/backups": str(self.work / "backups"),
            "--user ID": "--user $USER_ID",
            "user:ID": "user:$USER_ID",
            "--node ID": "--node $(cat tollgate-data/node)",
            "--key HEX": "--key $(hex)",
        }.items():
            text = text.replace(old, new)
        # The rest of a block with the mock calls it.
        text = re.sub(r"(?ms)^tollgate mock (.*?)\n(.*)", r"calls() {\n\2}\nduring=calls served tollgate mock \1\n", text)
        apart = '--listen 127.0.0.1:0 --addr 127.0.0.1:0 --data "$(mktemp -d)"'
        text = re.sub(r"(?m)^tollgate serve\b(.*)$", rf"served tollgate serve\1 {apart}", text)
        return re.sub(r"(?m)^(curl )(?!-f)", r"\1--fail-with-body ", text)

    def end(self):
        """Stops both servers."""
        for process in (self.process, self.redis_process):
            process.terminate()
            process.wait()


def main():
    binary, *chosen = [argument for argument in sys.argv[1:]] or [str(ROOT / "target/debug/tollgate")]
    pages = sorted(path.relative_to(ROOT).as_posix() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    work = pathlib.Path(tempfile.mkdtemp(prefix="tollgate-docs-"))
    (work / "backups").mkdir()
    server = Server(str(pathlib.Path(binary).resolve()), work)
    ran, failed, left_out = 0, [], []
    try:
        for page in pages:
            blocks = list(BLOCK.finditer((ROOT / page).read_text()))
            if page in ELSEWHERE:
                left_out.append((page, len(blocks), f"run by {ELSEWHERE[page]}"))
                continue
            left_out += [(page, 1, block["reason"]) for block in blocks if block["reason"]]
            texts = [block["text"] for block in blocks if not block["reason"]]
            if not texts or chosen and page not in chosen:
                continue
            texts.insert(0, BEFORE.get(page, ""))
            script = "".join(server.localized(text) + "\n" for text in texts)
            try:
                result = subprocess.run(
                    ["bash", "-c", f"set -eo pipefail{FUNCTIONS}{script}"], cwd=work, env=server.environment, capture_output=True, text=True,
                    stdin=subprocess.DEVNULL, timeout=SECONDS_MAX, start_new_session=True,
                )
                code, output = result.returncode, result.stdout[-1500:] + result.stderr[-1500:]
            except subprocess.TimeoutExpired:
                code, output = "none in time", ""
            ran += len(texts) - 1
            if code != 0:
                failed.append(page)
                print(f"docs-run: {page}: exit status {code}\n{script}\n{output}", file=sys.stderr)
    finally:
        server.end()
        shutil.rmtree(work, ignore_errors=True)
    for page, number, reason in left_out:
        print(f"not run: {page}: {number} {'block' if number == 1 else 'blocks'}: {reason}")
    print(f"docs-run: {ran} blocks ran, {sum(number for _, number, _ in left_out)} did not, {len(failed)} pages failed")
    sys.exit(1 if failed else 0)


main()
