"""Exports and receipts that the binary wrote. `make python` sets TOLLGATE_BINARY and TOLLGATE_TEST_KEPT."""

import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import tracemalloc
import unittest
from datetime import date
from typing import Callable, Optional

import tollgate
from tollgate import _files

BINARY = os.environ["TOLLGATE_BINARY"]
KEPT = pathlib.Path(os.environ["TOLLGATE_TEST_KEPT"])
EXPORT, RECEIPT = KEPT / "export.zip", KEPT / "receipt.zip"


def binary(path: str, key: Optional[str] = None) -> tuple[int, str, str]:
    """Runs `tollgate verify`; returns the exit code and both outputs."""
    command = [BINARY, "verify", path, *(["--key", key] if key else [])]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


class Verify(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.path = self.folder / "file.zip"

    def check_same(self, content: bytes, key: Optional[str] = None) -> str:
        """Checks that the package and the binary say the same of a file; returns the code, empty for a valid file."""
        self.path.write_bytes(content)
        code, stdout, stderr = binary(str(self.path), key)
        try:
            report = tollgate.verify(self.path, key)
        except tollgate.VerifyError as error:
            self.assertEqual(stderr, f"error: {error.code}: {self.path}: {error}\n")
            self.assertEqual(code, 1 if error.code in ("export_changed", "receipt_wrong") else 2)
            return error.code
        self.assertEqual((code, stdout), (0, f"{self.path} is unchanged\n{report}"))
        return ""

    def test_valid_files_have_the_words_of_the_binary(self) -> None:
        for path in (EXPORT, RECEIPT):
            self.assertEqual(self.check_same(path.read_bytes()), "")
            key = tollgate.verify(path).key
            self.assertEqual(self.check_same(path.read_bytes(), key.upper()), "")
        self.assertIsNone(tollgate.verify(EXPORT).receipt)
        receipt = tollgate.verify(str(RECEIPT)).receipt
        assert receipt is not None
        self.assertEqual((receipt.total, receipt.currency, receipt.requests), (150_750, "IDR", 5))

    def test_no_changed_byte_passes(self) -> None:
        chosen = random.Random(7)
        for path in (EXPORT, RECEIPT):
            content = path.read_bytes()
            places = [0, 9, len(content) - 1, *(chosen.randrange(len(content)) for _ in range(40))]
            for at in places:
                changed = bytearray(content)
                changed[at] ^= 1 << chosen.randrange(8)
                self.assertEqual(self.check_same(bytes(changed)), "export_changed", f"{path.name}, byte {at}")

    def test_other_files_are_refused_with_the_code_of_the_binary(self) -> None:
        content = RECEIPT.read_bytes()
        self.assertEqual(self.check_same(content[:-7]), "export_changed")
        self.assertEqual(self.check_same(content[: len(content) // 2]), "export_changed")
        for other in (b"", b"text", b"\0" * 5000):
            self.assertEqual(self.check_same(other), "export_unknown")
        self.assertEqual(self.check_same(content, "0" * 64), "export_changed")
        for key in ("0", "g" * 64, "ä" * 32):
            self.assertEqual(self.check_same(content, key), "key_malformed")

    def test_paths_that_cannot_be_read_are_refused(self) -> None:
        for path in ("a\0b", self.folder / "missing.zip", self.folder):
            for read in (tollgate.verify, tollgate.events, tollgate.requests):
                with self.assertRaises(tollgate.VerifyError) as caught:
                    read(path)
                self.assertEqual(caught.exception.code, "export_unreadable", path)

    def test_a_file_that_changes_while_it_is_read_is_refused(self) -> None:
        readers: list[tuple[pathlib.Path, Callable[..., object]]] = [
            (EXPORT, tollgate.events),
            (RECEIPT, tollgate.requests),
        ]
        for kept, read in readers:
            shutil.copy(kept, self.path)
            rows = read(self.path)
            content = bytearray(kept.read_bytes())
            begin = content.index(b"events.csv" if kept == EXPORT else b"requests/")
            content[begin + 40] ^= 1
            self.path.write_bytes(content)
            with self.assertRaises(tollgate.VerifyError) as caught:
                list(rows)  # type: ignore[call-overload]
            self.assertEqual(caught.exception.code, "export_changed")


class Rows(unittest.TestCase):
    def test_events_have_the_columns_of_the_export(self) -> None:
        events = list(tollgate.events(EXPORT))
        self.assertEqual(len(events), 3)
        for event in events:
            self.assertEqual((event["status"], event["model"], event["refusal"]), (200, "mock", None))
            self.assertIsInstance(event["tokens"], int)
            self.assertIsInstance(event["cost_nano"], int)
        self.assertEqual(list(tollgate.events(RECEIPT)), [])
        self.assertEqual(list(tollgate.requests(EXPORT)), [])

    def test_the_quote_before_a_formula_is_removed(self) -> None:
        for cell, plain in (("'@cf/a", "@cf/a"), ("'=1", "=1"), ("'tis", "'tis"), ("'", "'"), ("", "")):
            self.assertEqual(_files._plain(cell), plain)

    def test_the_cost_of_each_request_is_the_stored_one(self) -> None:
        prices, rated = tollgate.Prices.builtin(), 0
        for request in tollgate.requests(RECEIPT):
            for attempt in request["priced"]:
                rating = prices.rate(
                    f"{attempt['provider']}/{attempt['model']}",
                    request["tokens"],
                    request.get("units"),
                    answered_model=attempt.get("answered_model"),
                    on=date.fromisoformat(request["started_at"][:10]),
                )
                lines = [
                    {"class": line.unit, "quantity": line.quantity, "rate_pico": line.rate_pico_usd}
                    for line in rating.lines
                ]
                self.assertEqual(rating.cost, tollgate.Money(attempt["cost_nano"]))
                self.assertEqual((rating.price, lines), (attempt["price"], attempt["lines"]))
                rated += 1
        self.assertEqual(rated, 5)

    def test_memory_is_bounded(self) -> None:
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for _ in tollgate.requests(RECEIPT):
            pass
        self.assertLess(tracemalloc.get_traced_memory()[1], 4 << 20)


if __name__ == "__main__":
    unittest.main()
