"""Prints an access token for one hour. In production, your identity provider issues tokens."""

import base64
import hmac
import json
import os
import sys
import time


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


key = os.environ.get("JWT_KEY", "demo-secret-demo-secret-demo-secret")
claims = {
    "iss": "https://accounts.example.com",
    "aud": "api",
    "sub": "ada",
    "scope": sys.argv[1],
    "exp": int(time.time()) + 3600,
}
message = b".".join(encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
print((message + b"." + encode(hmac.digest(key.encode(), message, "sha256"))).decode())
