"""The cost of usage, and what has none."""

import decimal
import pathlib
import tempfile
import unittest
from datetime import date
from decimal import Decimal
from typing import Any

import tollgate

DAY = date(2026, 11, 21)
FILE = """
as_of: 2099-12-01
source: a contract
prices:
  - {model: openai/gpt-5, input: "1.10", cached_input: "0.11", output: "9"}
  - {model: api.example.com/large, input: "3", output: "7"}
"""


class Rate(unittest.TestCase):
    prices = tollgate.Prices.builtin()

    def code(self, model: str, tokens: Any = None, units: Any = None, **more: Any) -> str:
        with self.assertRaises(tollgate.CostUnknown) as caught:
            self.prices.rate(model, tokens, units, on=DAY, **more)
        return caught.exception.code

    def test_the_cost_is_exact(self) -> None:
        rating = self.prices.rate("openai/gpt-5", {"input": 1_001, "cached_input": 3, "output": 7}, on=DAY)
        # 1,001 x 1,250 + 3 x 125 + 7 x 10,000 nano-USD.
        self.assertEqual(rating.cost, tollgate.Money(1_321_625))
        self.assertEqual(rating.cost.usd, Decimal("0.001321625"))
        self.assertEqual(rating.lines[1], tollgate.Line("cached_input", 3, 125_000))
        self.assertTrue(rating.price.startswith("builtin-"))
        flex = self.prices.rate("openai/gpt-5-2025-08-07", {"input": 1_000}, on=DAY, tier="flex")
        self.assertEqual((flex.cost.nano_usd, flex.price), (625_000, f"{rating.price}+flex"))
        named = self.prices.rate("openai/alias", {"input": 2}, answered_model="gpt-5", on=DAY)
        self.assertEqual(named.cost.nano_usd, 2_500)
        images = self.prices.rate("mock/any", units={"image": 2}, on=DAY)
        self.assertEqual(images.cost.usd, Decimal("0.08"))

    def test_dollars_are_exact_in_any_context(self) -> None:
        with decimal.localcontext() as context:
            context.prec = 3
            self.assertEqual(str(tollgate.Money(9_223_372_036_854_775_807).usd), "9223372036.854775807")
            self.assertEqual(str(tollgate.Money(-5).usd), "-5E-9")
            self.assertEqual(tollgate.Money(0).usd, 0)

    def test_an_unknown_cost_has_a_reason(self) -> None:
        for model in ("openai/unlisted", "openai/", "/", "", "gpt-5", "a\0b/c", "nowhere/gpt-5"):
            self.assertEqual(self.code(model, {"input": 1}), "no_price", model)
        self.assertEqual(self.code("openai/gpt-5", {"audio_input": 1}), "no_rate")
        self.assertEqual(self.code("openai/gpt-5", {"input": 1}, tier="fast"), "unknown_terms")
        self.assertEqual(self.code("openai/gpt-5", {"input": 1}, tier="none"), "unknown_terms")
        self.assertEqual(self.code("openai/gpt-5", {"input": 1}, us=True), "unknown_terms")
        self.assertEqual(self.code("openai/gpt-5"), "no_usage")

    def test_numbers_and_names_outside_of_their_range_are_refused(self) -> None:
        for count in (-1, 1 << 64, 1 << 200, 1.5, "1", None):
            self.assertEqual(self.code("openai/gpt-5", {"input": count}), "unreadable_usage", count)
        # The cost of 2^64 - 1 tokens is no amount.
        self.assertEqual(self.code("openai/gpt-5", {"output": (1 << 64) - 1}), "unreadable_usage")
        self.assertEqual(self.code("openai/gpt-5", {"inputs": 1}), "unreadable_usage")
        self.assertEqual(self.code("openai/gpt-5", {"input": 1}, {"parsec": 1}), "unreadable_usage")
        self.assertEqual(self.code("mock/any", None, {"image": 1, "character": 1}), "unreadable_usage")


class File(unittest.TestCase):
    def setUp(self) -> None:
        self.path = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "prices.yaml"

    def code(self, text: str, key: Any = None) -> str:
        self.path.write_text(text)
        with self.assertRaises(tollgate.PriceFileError) as caught:
            tollgate.Prices.load(self.path, key)
        self.assertIsInstance(caught.exception, tollgate.TollgateError)
        return caught.exception.code

    def test_a_file_replaces_built_in_prices(self) -> None:
        self.path.write_text(FILE)
        prices = tollgate.Prices.load(self.path)
        for model, nano in (("openai/gpt-5", 1_100), ("api.example.com/large", 3_000), ("openai/gpt-5-mini", 250)):
            self.assertEqual(prices.rate(model, {"input": 1}, on=DAY).cost.nano_usd, nano, model)
        self.assertEqual(prices.rate("openai/gpt-5", {"input": 1}, on=DAY).source, "a contract")

    def test_invalid_files_are_refused(self) -> None:
        self.assertEqual(self.code("a: ["), "yaml")
        self.assertEqual(self.code(FILE.replace("input", "inptu")), "unknown_key")
        self.assertEqual(self.code(FILE, "AAAA"), "key_malformed")
        self.assertEqual(self.code(FILE, "A" * 43 + "="), "signature")
        for path in ("missing.yaml", "a\0b"):
            with self.assertRaises(tollgate.PriceFileError) as caught:
                tollgate.Prices.load(path)
            self.assertEqual(caught.exception.code, "file")


if __name__ == "__main__":
    unittest.main()
