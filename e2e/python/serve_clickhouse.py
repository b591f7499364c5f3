"""The HTTP interface of ClickHouse before a real one (chdb), which has the documented table and one user, writer.

It prints its port, and serves until its standard input ends. Arguments: the page with the statement that creates the table, and the
name of a table in it. Each line of its input is its behaviour from then on, which it confirms with a line: `accept`; `cut`, with which
the connection ends after an insert and before the response. A GET of /sums returns the sums of the table's rows without repetitions."""

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from chdb.session import Session
from sum_events import SUMS

# Parameters of the HTTP interface itself; all others are settings, and ClickHouse refuses unknown ones.
OF_HTTP = {"query", "wait_end_of_query"}
UNKNOWN_SETTING, AUTHENTICATION_FAILED = 115, 516


class Behaviour:
    mode = "accept"
    password = ""
    table = ""
    # What was inserted, repetitions included.
    inserts = 0
    rows = 0


class Interface(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        rows = self.rfile.read(int(self.headers["content-length"])).decode()
        credential = (self.headers["x-clickhouse-user"], self.headers["x-clickhouse-key"])
        if credential != ("writer", Behaviour.password):
            return self.answer(403, "authentication failed", AUTHENTICATION_FAILED)
        parameters = dict(parse_qsl(urlsplit(self.path).query, strict_parsing=True))
        settings = {name: value for name, value in parameters.items() if name not in OF_HTTP}
        if unknown := [name for name in settings if name not in KNOWN_SETTINGS]:
            return self.answer(404, f"unknown setting {unknown[0]}", UNKNOWN_SETTING)
        try:
            session.query(insert(parameters["query"], settings, rows))
        except RuntimeError as error:
            code = re.search(r"Code: (\d+)", str(error))
            return self.answer(500, str(error), int(code[1]) if code else 1)
        Behaviour.inserts += 1
        Behaviour.rows += rows.count("\n")
        if Behaviour.mode == "cut":
            self.close_connection = True
            return None
        return self.answer(200, "")

    def do_GET(self) -> None:
        sums = str(session.query(SUMS.format(source=f"{Behaviour.table} FINAL"), "JSONEachRow"))
        inserted = {"inserts": Behaviour.inserts, "inserted_rows": Behaviour.rows}
        self.answer(200, json.dumps({**json.loads(sums), **inserted}))

    def answer(self, status: int, text: str, code: int = 0) -> None:
        body = text.encode()
        self.send_response(status)
        if code:
            self.send_header("x-clickhouse-exception-code", str(code))
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def insert(query: str, settings: dict[str, str], rows: str) -> str:
    """Returns the statement with its settings, which the HTTP interface has as parameters, and its rows."""
    into, form, name = query.partition(" FORMAT ")
    listed = ", ".join(f"{name} = '{value}'" for name, value in settings.items())
    return f"{into} SETTINGS {listed}{form}{name}\n{rows}"


def read_input(server: HTTPServer) -> None:
    for line in sys.stdin:
        Behaviour.mode = line.strip()
        print(json.dumps({"mode": Behaviour.mode}), flush=True)
    server.shutdown()


# Queries need the thread that opened the session, so one thread serves all connections.
session = Session()
listed = str(session.query("SELECT name FROM system.settings", "TabSeparated"))
KNOWN_SETTINGS = set(listed.split())


def main() -> None:
    page, Behaviour.table, Behaviour.password = Path(sys.argv[1]).read_text(), sys.argv[2], sys.argv[3]
    statement = re.search(rf"^CREATE TABLE {Behaviour.table} \(.*?^```$", page, re.MULTILINE | re.DOTALL)
    if statement is None:
        sys.exit(f"{sys.argv[1]} has no statement that creates {Behaviour.table}")
    session.query(statement[0].removesuffix("```"))
    server = HTTPServer(("127.0.0.1", 0), Interface)
    print(server.server_port, flush=True)
    threading.Thread(target=read_input, args=(server,), daemon=True).start()
    server.serve_forever()


main()
