"""Exports and receipts: signed zip files."""

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional, Union

from . import _native

Path = Union[str, "os.PathLike[str]"]

# Columns of `events.csv` whose values are whole numbers.
_NUMBERS = ("status", "tokens", "cost_nano", "own_cost_nano", "duration_us")
# The first characters of a formula, before which the export writes a quote.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class ExportedFile:
    """A file of an export: its name, its size in bytes, and its SHA-256 digest as hex digits."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class ReceiptFigures:
    """The figures of a receipt, which were computed again. Amounts are in the smallest unit of the currency."""

    number: str
    currency: str
    days: int
    requests: int
    lines: int
    subtotal: int
    tax: int
    total: int


@dataclass(frozen=True)
class Report:
    """The manifest of a valid file. `receipt` is None for an export, and `str` has the words of `tollgate verify`."""

    id: str
    figures_version: int
    complete: bool
    installation: str
    created_at: str
    files: tuple[ExportedFile, ...]
    days_without_requests: tuple[str, ...]
    fingerprint: str
    key: str
    receipt: Optional[ReceiptFigures]
    text: str

    def __str__(self) -> str:
        return self.text


def verify(path: Path, key: Optional[str] = None) -> Report:
    """Verifies every byte of an export or a receipt, and computes the figures of a receipt again.

    `key` is the public key of the installation as 64 hex digits. Without it, the signature shows only that nobody without
    the key in the file has changed it.

    Raises VerifyError with the code `export_changed`, `export_unknown`, `export_unreadable`, `receipt_wrong` or
    `key_malformed`.
    """
    report = _native.verify(path, key)
    receipt = report.pop("receipt")
    return Report(
        **{
            **report,
            "files": tuple(ExportedFile(*file) for file in report["files"]),
            "days_without_requests": tuple(report["days_without_requests"]),
            "receipt": ReceiptFigures(**receipt) if receipt else None,
        }
    )


def events(path: Path, key: Optional[str] = None) -> Iterator[dict[str, Any]]:
    """Verifies an export, then returns its usage events one by one, with the columns of `events.csv` as keys.

    Memory is bounded. An empty value is None. If the file changes while it is read, the last step raises VerifyError.
    """
    files = [file for file in verify(path, key).files if file.name == "events.csv"]
    return _events(path, files)


def requests(path: Path, key: Optional[str] = None) -> Iterator[dict[str, Any]]:
    """Verifies a receipt, then returns its requests one by one, in the order of the days.

    Memory is bounded. If the file changes while it is read, the last step raises VerifyError.
    """
    files = [file for file in verify(path, key).files if file.name.startswith("requests/")]
    return _requests(path, files)


def _events(path: Path, files: list[ExportedFile]) -> Iterator[dict[str, Any]]:
    for file in files:
        for row in csv.DictReader(line.decode() for line in _lines(path, file)):
            event: dict[str, Any] = {name: _plain(value) or None for name, value in row.items()}
            for name in _NUMBERS:
                event[name] = int(event[name]) if event.get(name) else None
            yield event


def _plain(cell: str) -> str:
    """Removes the quote that keeps spreadsheets from reading a cell as a formula."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULA else cell


def _requests(path: Path, files: list[ExportedFile]) -> Iterator[dict[str, Any]]:
    for file in files:
        for line in _lines(path, file):
            yield json.loads(line)


def _lines(path: Path, file: ExportedFile) -> Iterator[bytes]:
    return iter(_native.Lines(path, file.name, file.size, file.sha256))
