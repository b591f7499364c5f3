"""A receiver of webhooks. It prints its port, then each delivery as a line of JSON, and serves until its standard input ends.

Each line of its input is its behaviour from then on, which it confirms with a line: `secret whsec_…` verifies the following deliveries
with this secret; `status N` responds with this status; `hang` does not respond."""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

# Longer than any time limit of a test.
FOREVER_S = 600.0


class Behaviour:
    status = 204
    secret = ""


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        delivery = {"path": self.path, "headers": {name.lower(): value for name, value in self.headers.items()}, **verified(self, body)}
        print(json.dumps(delivery), flush=True)
        if Behaviour.status == 0:
            time.sleep(FOREVER_S)
        self.send_response(Behaviour.status)
        self.send_header("content-length", "0")
        # Followed, it would lead back to this server.
        self.send_header("location", "/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def verified(request: BaseHTTPRequestHandler, body: bytes) -> dict[str, object]:
    if not Behaviour.secret:
        return {"verified": False, "message": None}
    try:
        return {"verified": True, "message": Webhook(Behaviour.secret).verify(body, dict(request.headers))}
    except WebhookVerificationError as error:
        return {"verified": False, "message": str(error)}


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    for line in sys.stdin:
        word, _, value = line.strip().partition(" ")
        if word == "secret":
            Behaviour.secret = value
        else:
            Behaviour.status = 0 if word == "hang" else int(value)
        print(json.dumps({"mode": word}), flush=True)


if __name__ == "__main__":
    main()
