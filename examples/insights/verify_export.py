"""Verifies an export like `tollgate verify`: python3 verify_export.py FILE [PUBLIC_KEY]

Needs Python 3.9 or later and the package `cryptography`. The exit status is 0, 1 (changed) or 2 (not an export).
"""

import hashlib
import json
import sys
import zipfile

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MARK = b"tollgate-signature-1:"
COMMENT_BYTES = len(MARK) + 128


def verify(path, expected=None):
    with open(path, "rb") as file:
        data = file.read()
    signed, comment = data[:-COMMENT_BYTES], data[-COMMENT_BYTES:]
    if not comment.startswith(MARK):
        return 2 if not data.startswith(b"PK\x03\x04") else 1
    try:
        signature = bytes.fromhex(comment[len(MARK) :].decode("ascii"))
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            manifest = json.loads(archive.read("manifest.json"))
            if names != [file["name"] for file in manifest["files"]] + ["manifest.json"]:
                return 1
            for file in manifest["files"]:
                content = archive.read(file["name"])
                if len(content) != file["size"] or hashlib.sha256(content).hexdigest() != file["sha256"]:
                    print(f"the file {file['name']} was changed")
                    return 1
        key = bytes.fromhex(manifest["public_key"])
        Ed25519PublicKey.from_public_bytes(key).verify(signature, hashlib.sha256(signed).digest())
    except (InvalidSignature, KeyError, ValueError, zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        print(f"changed: {error!r}")
        return 1
    except Exception as error:  # zlib.error of damaged data
        print(f"changed: {error!r}")
        return 1
    if expected and key.hex() != expected.lower():
        print("signed with another key")
        return 1
    print("unchanged:", manifest["id"], "fingerprint", hashlib.sha256(key).hexdigest()[:32])
    return 0


if __name__ == "__main__":
    sys.exit(verify(*sys.argv[1:3]))
