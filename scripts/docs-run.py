#!/usr/bin/env python3
"""Runs the shell blocks of README.md and docs/ against a demo server, executes the guides, and fails if one fails.

    scripts/docs-run.py [BINARY] [PAGE...]     the binary: target/debug/tollgate without it; pages: all without them

A comment `<!-- not run: REASON -->` before a block leaves the block out; the last lines list these blocks. Other suites run
the blocks of `docs/runbook.md` (scripts/runbook.sh) and of `examples/` (e2e/tests/it/examples.rs). A block runs in the folder of
the server's data, with `set -e`; the blocks of one page share one shell. Addresses, ids and folders of the page are replaced
by those of the run. A server that a block starts must open its ports, and is then stopped.

A guide (docs/reselling.md and docs/guides/) is executed from top to bottom in a folder of its own. A block of YAML is saved as
`tollgate.yaml`, after `tollgate check`: alone, or over the keys of earlier blocks. A server that the guide starts runs until it
starts another one, with the mock in place of providers; a guide that starts none has a demo server. Then it is executed once more
in the same folder: a command may fail there, as its user exists, but with a message, and the server must be ready in the end.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
ELSEWHERE = {"docs/runbook.md": "scripts/runbook.sh"}
BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>[^>]+) -->\n)?(?P<indent> *)```(?P<kind>sh|yaml)\n(?P<text>.*?)```", re.S)
SERVES = re.compile(r"(?m)^tollgate serve\b")
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

# The commands of a guide that starts servers: each runs until the guide ends or starts another server.
KEPT = r"""
trap '[ -z "$mock" ] || kill $mock; [ -z "$server" ] || { kill $server; wait $server || true; }' EXIT
serve() {
    if [ -n "$server" ]; then kill $server; wait $server || true; fi
    tollgate serve --listen "127.0.0.1:$PROXY" --addr "127.0.0.1:$CONTROL" "$@" >server.out 2>server.log & server=$!
    until curl -fs "http://127.0.0.1:$CONTROL/readyz" >/dev/null; do kill -0 $server || { cat server.log >&2; return 1; }; sleep 0.1; done
}
keep() {
    "$@" >mock.out 2>mock.log & mock=$!
    until [ -s mock.out ] || [ -s mock.log ]; do kill -0 $mock || return 1; sleep 0.1; done
}
"""


# The second execution of a guide. A server is a process of its own, so that it can be killed.
AGAIN = r"""
set +e
rm -f again.log
tollgate() {
    case $1 in serve | mock) exec tollgate "$@" ;; esac
    command tollgate "$@" 2>again.err
    local code=$?
    cat again.err >&2
    if [ $code -gt 2 ] || { [ $code -ne 0 ] && [ ! -s again.err ]; }; then echo "exit status $code: tollgate $*" >>again.log; fi
    return $code
}
"""
AGAIN_CHECKS = r"""
curl -fsS "http://127.0.0.1:$CONTROL/readyz" >/dev/null || echo "the server is not ready" >>again.log
[ ! -s again.log ] || { cat again.log >&2; exit 1; }
true
"""


def free_port():
    """Returns a port that was free at the moment of the call."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Place:
    """A folder in which pages run, with the addresses of its servers."""

    def __init__(self, binary, work):
        self.work, self.proxy, self.control, self.redis, self.mock = work, free_port(), free_port(), free_port(), free_port()
        tools = work / "bin"
        tools.mkdir(parents=True)
        (tools / "tollgate").symlink_to(binary)
        (work / "examples").symlink_to(ROOT / "examples")
        self.environment = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(work),
            "EMAIL": "root@example.com",
            "PASSWORD": PASSWORD,
            "PROXY": str(self.proxy),
            "CONTROL": str(self.control),
        }

    def addressed(self, text):
        """Returns `text` with the addresses of this run."""
        ports = {"127.0.0.1:8080": self.proxy, "127.0.0.1:8787": self.control, "127.0.0.1:8090": self.mock}
        for old, port in ports.items():
            text = text.replace(old, f"127.0.0.1:{port}")
        return text

    def kept(self, text):
        """Returns a block of a guide that starts servers: they keep running, and passwords are typed."""
        text = re.sub(r"(?m)^tollgate mock (.*)$", rf"keep tollgate mock --listen 127.0.0.1:{self.mock} \1", self.addressed(text))
        text = re.sub(r"(?m)^tollgate serve\b(?!.*--demo)(.*)$", r"serve --mock\1", text)
        text = re.sub(r"(?m)^tollgate serve\b(.*)$", r"serve\1", text)
        typed = r"""printf '%s\\n' "$PASSWORD" | \1 --password-stdin"""
        text = re.sub(r"(?m)^(tollgate users create .*--admin|tollgate keys create --admin .*)$", typed, text)
        return re.sub(r"(?m)^(curl )(?!-f)", r"\1--fail-with-body ", text)

    def fitting(self, block, earlier):
        """Returns the configuration of a block: alone, or with the keys of earlier blocks that it lacks; the error of both."""
        texts = [block, *(merged(text, block) for text in [merged(*earlier), *earlier])]
        for text in texts:
            checked = subprocess.run(
                [self.work / "bin/tollgate", "check", "-"], input=text, cwd=self.work, env=self.environment, capture_output=True, text=True
            )
            if checked.returncode == 0:
                return text, None
        return None, f"{texts[1]}\n{checked.stderr}"


class Server(Place):
    """A demo server with an admin, a user and their keys."""

    def __init__(self, binary, work):
        super().__init__(binary, work)
        (work / "tollgate.yaml").write_text(CONFIG)
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
        text = self.addressed(text)
        for old, new in {
            "https://control.example.com": f"http://127.0.0.1:{self.control}",
            "https://tollgate.example.com": f"http://127.0.0.1:{self.control}",
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
        typed = r"""printf '%s\\n' "$PASSWORD" | \1 --user "$EMAIL"\2 --password-stdin"""
        text = re.sub(r"(?m)^(tollgate keys create --admin)\b(.*)$", typed, text)
        apart = '--listen 127.0.0.1:0 --addr 127.0.0.1:0 --data "$(mktemp -d)"'
        text = re.sub(r"(?m)^tollgate serve\b(.*)$", rf"served tollgate serve\1 {apart}", text)
        return re.sub(r"(?m)^(curl )(?!-f)", r"\1--fail-with-body ", text)

    def end(self):
        """Stops both servers."""
        for process in (self.process, self.redis_process):
            process.terminate()
            process.wait()


def merged(*texts):
    """Returns the keys of all texts at their outermost level; later ones replace earlier ones."""
    chunks = {}
    for text in texts:
        name = None
        for line in text.splitlines():
            if found := re.match(r"(\w+):", line):
                name = found[1]
                chunks[name] = []
            if name:
                chunks[name].append(line)
    return "".join(line + "\n" for chunk in chunks.values() for line in chunk)


def blocks_of(page, kinds):
    """Returns the blocks of a page of these kinds, without their indentation."""
    for block in BLOCK.finditer((ROOT / page).read_text()):
        if block["kind"] in kinds:
            text = "".join(line.removeprefix(block["indent"]) for line in block["text"].splitlines(keepends=True))
            yield block["kind"], block["reason"], text


def is_guide(page):
    return page == "docs/reselling.md" or page.startswith("docs/guides/")


def script_of_guide(page, place):
    """Returns the script of a guide, and the errors of its configurations."""
    is_served = isinstance(place, Server)
    localized = place.localized if is_served else place.kept
    earlier, script, errors = ([CONFIG] if is_served else []), localized(BEFORE.get(page, "")), []
    for kind, reason, text in blocks_of(page, ("sh", "yaml")):
        if reason:
            continue
        if kind == "sh":
            script += localized(text) + "\n"
            continue
        written, error = place.fitting(place.addressed(text), earlier)
        errors += [error] if error else []
        earlier.append(place.addressed(text))
        script += f"cat >tollgate.yaml <<'END_OF_FILE'\n{written}END_OF_FILE\n"
    return script, errors


def run(page, place, functions, script):
    """Runs the script of a page; returns whether it succeeded."""
    process = subprocess.Popen(
        ["bash", "-c", f"set -eo pipefail{functions}{script}"], cwd=place.work, env=place.environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=SECONDS_MAX)
        code, output = process.returncode, output[-1500:] + errors[-1500:]
    except subprocess.TimeoutExpired:
        # The servers that the script has started, too.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        code, output = "none in time", ""
    if code != 0:
        print(f"docs-run: {page}: exit status {code}\n{script}\n{output}", file=sys.stderr)
    return code == 0


def run_guide(page, binary, work):
    """Executes a guide from top to bottom in a folder of its own; returns whether it succeeded."""
    starts = any(SERVES.search(text) for kind, reason, text in blocks_of(page, ("sh",)) if not reason)
    place = Place(binary, work) if starts else Server(binary, work)
    try:
        script, errors = script_of_guide(page, place)
        for error in errors:
            print(f"docs-run: {page}: a configuration is invalid\n{error}", file=sys.stderr)
        functions = KEPT if starts else FUNCTIONS
        if errors or not run(page, place, functions, script):
            return False
        return run(page, place, functions + AGAIN, script + AGAIN_CHECKS)
    finally:
        if not starts:
            place.end()


def main():
    binary, *chosen = [argument for argument in sys.argv[1:]] or [str(ROOT / "target/debug/tollgate")]
    binary = str(pathlib.Path(binary).resolve())
    pages = sorted(path.relative_to(ROOT).as_posix() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    work = pathlib.Path(tempfile.mkdtemp(prefix="tollgate-docs-"))
    (work / "backups").mkdir()
    server = Server(binary, work)
    ran, guides, failed, left_out = 0, 0, [], []
    try:
        for page in pages:
            blocks = list(blocks_of(page, ("sh",)))
            if page in ELSEWHERE:
                left_out.append((page, len(blocks), f"run by {ELSEWHERE[page]}"))
                continue
            left_out += [(page, 1, reason) for _, reason, _ in blocks if reason]
            if chosen and page not in chosen:
                continue
            texts = [text for _, reason, text in blocks if not reason]
            if is_guide(page):
                guides += 1
                succeeded = run_guide(page, binary, work / "guides" / pathlib.Path(page).stem)
            elif texts:
                script = "".join(server.localized(text) + "\n" for text in [BEFORE.get(page, ""), *texts])
                succeeded = run(page, server, FUNCTIONS, script)
            else:
                continue
            ran += len(texts)
            failed += [] if succeeded else [page]
    finally:
        server.end()
        shutil.rmtree(work, ignore_errors=True)
    for page, number, reason in left_out:
        print(f"not run: {page}: {number} {'block' if number == 1 else 'blocks'}: {reason}")
    print(
        f"docs-run: {ran} blocks ran, {sum(number for _, number, _ in left_out)} did not, {guides} guides were executed, {len(failed)} pages failed"
    )
    sys.exit(1 if failed else 0)


main()
