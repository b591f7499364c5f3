"""Prices, and the cost of usage in exact amounts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Optional, Union

from . import _native


@dataclass(frozen=True)
class Money:
    """An amount in nano-USD: 1,000,000,000 are one US dollar."""

    nano_usd: int

    @property
    def usd(self) -> Decimal:
        """The same amount in US dollars. It is exact in any decimal context."""
        digits = tuple(int(digit) for digit in str(abs(self.nano_usd)))
        return Decimal((int(self.nano_usd < 0), digits, -9))


@dataclass(frozen=True)
class Line:
    """A quantity of tokens or units at one rate. One nano-USD is 1,000 pico-USD."""

    unit: str
    quantity: int
    rate_pico_usd: int


@dataclass(frozen=True)
class Rating:
    """A cost: the sum of its lines, rounded once, half to even. `price` is the version that a usage event stores."""

    cost: Money
    price: str
    source: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class _Request:
    model: str
    answered_model: Optional[str]
    on: str
    tier: str
    us: bool


class Prices:
    """A table of prices: the one of this release, or that table with the prices of a file."""

    __slots__ = ("_table",)

    def __init__(self, table: _native.PriceTable) -> None:
        self._table = table

    @classmethod
    def builtin(cls) -> "Prices":
        """Returns the table of this release."""
        return cls(_native.PriceTable.builtin())

    @classmethod
    def load(cls, path: Union[str, "os.PathLike[str]"], key: Optional[str] = None) -> "Prices":
        """Reads a price file as `prices_file` does. With `key`, as `prices_key`, the file must be signed by it.

        Raises PriceFileError, whose message names each problem and its line.
        """
        return cls(_native.PriceTable.load(path, key))

    def rate(
        self,
        model: str,
        tokens: Optional[Mapping[str, int]] = None,
        units: Optional[Mapping[str, int]] = None,
        *,
        answered_model: Optional[str] = None,
        on: Optional[date] = None,
        tier: str = "standard",
        us: bool = False,
    ) -> Rating:
        """Returns the cost of one attempt.

        `model` is `KIND/MODEL` or `HOST/MODEL`, such as `openai/gpt-5` or `api.x.ai/grok-4.5`. `tokens` and `units` have the
        names of a receipt's requests: `input`, `cached_input`, `output`; `image`, `searches`. `on` is the UTC day of the
        request, today without it. The price of `answered_model` has priority.

        Raises CostUnknown with a code such as `no_price`, `no_rate`, `unknown_terms`, `no_usage` or `unreadable_usage`. An
        unknown cost is never zero.
        """
        day = on or datetime.now(timezone.utc).date()
        request = _Request(model, answered_model, day.isoformat()[:10], tier, us)
        rated = self._table.rate(request, dict(tokens or {}), dict(units or {}))
        lines = tuple(Line(*line) for line in rated["lines"])
        return Rating(Money(rated["cost_nano"]), rated["price"], rated["source"], lines)
