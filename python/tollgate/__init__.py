"""Verify exports and receipts of Tollgate, and compute the cost of LLM calls.

The functions call the code of the gateway: a file that `tollgate verify` refuses is refused here, and usage has the cost
that the gateway stores.
"""

from ._files import ExportedFile, ReceiptFigures, Report, events, requests, verify
from ._native import CostUnknown, PriceFileError, TollgateError, VerifyError
from ._prices import Line, Money, Prices, Rating

__all__ = [
    "CostUnknown",
    "ExportedFile",
    "Line",
    "Money",
    "PriceFileError",
    "Prices",
    "Rating",
    "ReceiptFigures",
    "Report",
    "TollgateError",
    "VerifyError",
    "events",
    "requests",
    "verify",
]
