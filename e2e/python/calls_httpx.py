"""Sends requests with httpx over HTTP/1.1 and HTTP/2, and prints one line of JSON for each response."""

import asyncio
import hashlib
import json
import os
import ssl
from pathlib import Path

import httpx

BODY = Path(os.environ["BODY"]).read_bytes()
HEADERS = {"authorization": f"Bearer {os.environ['KEY']}"}
TRUSTED = ssl.create_default_context(cafile=os.environ["CA"])
TIMEOUT_S = 30.0


def report(name: str, response: httpx.Response) -> None:
    line = {
        "name": name,
        "protocol": response.http_version,
        "status": response.status_code,
        "sha256": hashlib.sha256(response.content).hexdigest(),
    }
    print(json.dumps(line))


def in_turn(name: str, http2: bool) -> None:
    """Sends two requests on one connection. Without TLS, `http2` alone is prior knowledge."""
    versions = {"http1": not http2, "http2": http2} if name == "PLAIN" else {"http2": http2}
    with httpx.Client(verify=TRUSTED, headers=HEADERS, timeout=TIMEOUT_S, trust_env=False, **versions) as client:
        for _ in range(2):
            report(name, client.post(os.environ[name], content=BODY))


async def at_once(count: int) -> None:
    limits = httpx.Limits(max_connections=1)
    options = {"verify": TRUSTED, "headers": HEADERS, "timeout": TIMEOUT_S, "trust_env": False, "limits": limits}
    async with httpx.AsyncClient(http2=True, **options) as client:
        calls = [client.post(os.environ["TLS"], content=BODY) for _ in range(count)]
        for response in await asyncio.gather(*calls):
            report("TLS", response)


in_turn("TLS", http2=True)
in_turn("TLS", http2=False)
asyncio.run(at_once(20))
in_turn("PLAIN", http2=True)
in_turn("PLAIN", http2=False)
