"""An SMTP server. It prints its port, then each accepted message as a line of JSON, and serves until its standard input ends.

CERTIFICATE and KEY give it TLS: STARTTLS, which it requires, or with TLS=immediate from the first byte. LOGIN=USER:PASSWORD requires
a sign-in. Each line of its input is its behaviour from then on, which it confirms with a line: accept, later (451 after the message),
reject (554 after the message), refuse (550 for the recipient), cut_early (the connection ends at the recipient), cut (the
connection ends after the message), hang (no response for the recipient)."""

import asyncio
import json
import os
import ssl
import sys
import threading
from email import message_from_bytes, policy

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

# Longer than any time limit of a test.
FOREVER_S = 600.0


class Behaviour:
    mode = "accept"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if self.mode == "refuse":
            return "550 5.1.1 no such mailbox"
        if self.mode == "cut_early":
            server.transport.abort()
        if self.mode == "hang":
            await asyncio.sleep(FOREVER_S)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 recipient accepted"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.mode == "later":
            return "451 4.3.0 not now"
        if self.mode == "reject":
            return "554 5.7.1 not wanted"
        print(json.dumps(described(session, envelope)), flush=True)
        if self.mode == "cut":
            server.transport.abort()
        return "250 2.0.0 message accepted"


def described(session: Session, envelope: Envelope) -> dict[str, object]:
    message = message_from_bytes(envelope.content, policy=policy.default)
    parts = {kind: message.get_body((kind,)) for kind in ("plain", "html")}
    return {
        "tls": session.ssl is not None,
        "user": (session.auth_data or b"").decode(),
        "envelope": {"from": envelope.mail_from, "to": envelope.rcpt_tos},
        "headers": {name: str(value) for name, value in message.items()},
        "text": parts["plain"].get_content() if parts["plain"] else "",
        "html": parts["html"].get_content() if parts["html"] else "",
        "attachments": [{"name": part.get_filename(), "bytes": len(part.get_content())} for part in message.iter_attachments()],
    }


def read_input(behaviour: Behaviour) -> None:
    for line in sys.stdin:
        behaviour.mode = line.strip()
        print(json.dumps({"mode": behaviour.mode}), flush=True)
    os._exit(0)


async def serve() -> None:
    behaviour = Behaviour()
    context = None
    if "CERTIFICATE" in os.environ:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(os.environ["CERTIFICATE"], os.environ["KEY"])
    immediate = context if os.environ.get("TLS") == "immediate" else None
    login = os.environ.get("LOGIN")

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        if isinstance(data, LoginPassword) and f"{data.login.decode()}:{data.password.decode()}" == login:
            return AuthResult(success=True, auth_data=data.login)
        return AuthResult(success=False, handled=False)

    def connection() -> SMTP:
        starts = context is not None and immediate is None
        return SMTP(
            behaviour,
            hostname="localhost",
            tls_context=context if starts else None,
            require_starttls=starts,
            auth_required=login is not None,
            auth_require_tls=starts,
            authenticator=authenticate,
        )

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0, ssl=immediate)
    print(server.sockets[0].getsockname()[1], flush=True)
    threading.Thread(target=read_input, args=(behaviour,), daemon=True).start()
    await server.serve_forever()


asyncio.run(serve())
