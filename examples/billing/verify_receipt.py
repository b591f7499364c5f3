#!/usr/bin/env python3
"""Verifies a receipt without Tollgate: the signature, every file, and every figure from the requests to the total.

Usage: verify_receipt.py RECEIPT.zip [PUBLIC_KEY]

It needs the package `cryptography`. It computes with fractions, and shares no code with Tollgate. It exits with 1 and names
the first difference if a byte was changed or a figure is wrong.
"""

import hashlib
import io
import json
import sys
import zipfile
from datetime import date
from fractions import Fraction

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

COMMENT = b"tollgate-signature-1:"
DOCUMENTS = ["invoice.json", "plans.json", "terms.json", "days.json"]
FIGURES = ["requests", "credits", "tokens", "cost_nano", "unpriced_requests"]
CLASSES = ["input", "cached_input", "cache_write_short", "cache_write_long", "output", "reasoning"]
CLASSES += ["audio_input", "image_input", "audio_output", "image_output"]


class Wrong(Exception):
    """A byte or a figure that is not right."""


def same(place, stated, computed):
    if stated != computed:
        raise Wrong(f"{place}: the receipt has {stated}, and the computation gives {computed}")


def half_up(value):
    """Rounds half away from zero."""
    value = Fraction(value)
    whole = abs(value).numerator // abs(value).denominator
    rounded = whole + (abs(value) - whole >= Fraction(1, 2))
    return -rounded if value < 0 else rounded


def fraction(of):
    return Fraction(of["numerator"], of["denominator"])


def opened(raw, expected_key):
    """Checks the signature and the digests, and returns the manifest and the files."""
    size = len(COMMENT) + 128
    signed, comment = raw[:-size], raw[-size:]
    digits = comment[len(COMMENT) :].decode("ascii", "replace")
    if not comment.startswith(COMMENT) or digits != digits.lower():
        raise Wrong("the file has no signature")
    try:
        archive = zipfile.ZipFile(io.BytesIO(raw))
        files = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        manifest = json.loads(files.pop("manifest.json"))
        key = bytes.fromhex(manifest["public_key"])
        message = hashlib.sha256(signed).digest()
        Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(digits), message)
    except InvalidSignature:
        raise Wrong("a byte was changed, or the signature is not valid") from None
    except Exception as error:  # A changed byte may damage the zip at any place.
        raise Wrong(f"the zip is damaged: {error}") from None
    if expected_key and manifest["public_key"] != expected_key.lower():
        raise Wrong(f"another key signed the receipt: {manifest['public_key']}")
    same("the names of the files", [file["name"] for file in manifest["files"]], list(files))
    for file in manifest["files"]:
        same(f"the digest of {file['name']}", file["sha256"], hashlib.sha256(files[file["name"]]).hexdigest())
    return manifest, files


def half_even(pico):
    """Rounds pico-USD to nano-USD, half to even."""
    return round(Fraction(pico, 1000))


def rates_of(price, name):
    """Returns the rates of a class of tokens or of a unit."""
    key = "output" if name == "reasoning" else name
    tables = [price["rates"], (price["long"] or {}).get("rates", {}), price["units"]]
    return {table[key] for table in tables if table.get(key) is not None}


def check_price(place, row, prices):
    """Adds up tokens x rate to the cost of each attempt, and the attempts to the cost of the request."""
    priced = row.get("priced", [])
    for attempt in priced:
        if "lines" not in attempt:
            continue
        names = [attempt.get(name) for name in ("provider", "model", "answered_model", "price")]
        price = prices.get(tuple(names))
        for line in attempt["lines"]:
            if not price or line["rate_pico"] not in rates_of(price, line["class"]):
                raise Wrong(f"{place}, the rate of {line['class']}: {line['rate_pico']} is no rate at the price {names[3]}")
        pico = sum(line["quantity"] * line["rate_pico"] for line in attempt["lines"])
        same(f"{place}, the cost at the price {names[3]}", attempt["cost_nano"], half_even(pico))
    if row["requests"] == 1:
        total = sum(attempt["cost_nano"] for attempt in priced)
        same(f"{place}, the cost of all attempts", row.get("cost_nano", 0), total)
    if len(priced) == 1 and "lines" in priced[0] and row.get("tokens"):
        for name in CLASSES:
            counted = sum(line["quantity"] for line in priced[0]["lines"] if line["class"] == name)
            same(f"{place}, the tokens of the class {name}", row["tokens"].get(name, 0), counted)


def check_day(day, file, part, listed, prices):
    """Adds up the rows of a day."""
    rows = [json.loads(line, parse_float=Fraction) for line in file.splitlines()]
    same(f"the rows of {day}", listed["rows"], len(rows))
    for number, row in enumerate(rows, 1):
        if prices is not None:
            check_price(f"requests/{day}.jsonl, line {number}", row, prices)
    same(f"the digest of {day}", listed["sha256"], hashlib.sha256(file).hexdigest())
    sums = {}
    for row in rows:
        figures = [
            row["requests"],
            row["credits"],
            sum(row.get("tokens", {}).values()),
            row.get("cost_nano", 0),
            int(row.get("unpriced", False)),
        ]
        for model in {None, row.get("model")}:
            sums[model] = [a + b for a, b in zip(sums.get(model, [0] * len(figures)), figures)]
    stated = {row["model"]: [row[name] for name in FIGURES] for row in part["usage"] if row["day"] == day}
    for model in sums.keys() | stated.keys():
        # A model without a name is part of the total only.
        zero = [0] * len(FIGURES)
        for name, a, b in zip(FIGURES, stated.get(model, zero), sums.get(model, zero)):
            same(f"{name} of {model or 'all models'} on {day}", a, b)
    return sums.get(None, [0])[0]


def days_of(period):
    first, last = date.fromisoformat(period["first_day"]), date.fromisoformat(period["last_day"])
    return (last - first).days + 1


def charge_amount(charge, part):
    """Returns the units beyond the included ones, and their amount."""
    metric = {"cost": "cost_nano"}.get(charge["metric"], charge["metric"])
    units = {}
    for row in part["usage"]:
        models = charge.get("models") or [None]
        if row["model"] in models:
            units[row["day"]] = units.get(row["day"], 0) + row[metric]
    left = charge.get("included", 0) * min(days_of(part["days"]), part["whole_days"]) // part["whole_days"]
    total, money = 0, Fraction(0)
    for day in sorted(units):
        free = min(left, units[day])
        left, counted = left - free, units[day] - free
        total += counted
        if metric == "cost_nano" and counted:
            rate = max((rate for rate in part["rates"] if rate["from"] <= day), key=lambda rate: rate["from"])
            money += Fraction(counted, 10**9) * Fraction(rate["micro_idr"], 10**6)
    # A part of a credit is not charged.
    total = int(total)
    model = charge["model"]
    if model == "cost":
        return total, half_up(money * (1 + Fraction(charge["markup_ppm"], 10**6)))
    if model == "tiered":
        below = 0
        for tier in charge["tiers"]:
            end = total if tier["up_to"] is None else min(total, tier["up_to"])
            money += max(end - below, 0) * Fraction(tier["unit"]["pico"], 10**12)
            below = max(below, end)
        return total, half_up(money)
    count = -(-total // charge["size"]) if model == "package" else total
    return total, half_up(count * Fraction(charge["unit"]["pico"], 10**12))


def usage_lines(part, plan, billed):
    lines = []
    for charge in plan["price"]["charges"]:
        units, amount = charge_amount(charge, part)
        if not units:
            continue
        kind = "usage"
        if part["is_late"]:
            about = (charge["name"], part["plan_version"], part["days"])
            before = [line for line in billed if (line["text"], line["plan_version"], line["days"]) == about]
            amount -= sum(line["amount"] for line in before)
            units = max(units - sum(line["quantity"] for line in before), 0)
            kind = "late"
            if amount <= 0 or not units:
                continue
        lines.append((kind, charge["name"], units, amount))
    unpriced = sum(row["unpriced_requests"] for row in part["usage"] if row["model"] is None)
    if unpriced and plan["price"]["charges"] and not part["is_late"]:
        lines.append(("unpriced", "Requests without a known cost", unpriced, 0))
    return lines


def change_lines(basis, old, new):
    """The credit of the old price, and the charge of the new one."""
    last = date.fromisoformat(basis["period"]["last_day"])
    rest = (last - date.fromisoformat(basis["day"])).days + 1
    whole = days_of(basis["period"])
    price = lambda plan: plan["price"]["price"]["amount"]
    is_same = old["price"]["interval"] == new["price"]["interval"]
    charge = half_up(Fraction(price(new) * rest, whole)) if is_same else price(new)
    credit = min(half_up(Fraction(price(old) * rest, whole)), charge)
    lines = [("credit", old["plan"], 1, -credit)] if credit > 0 else []
    return lines + [("proration" if is_same else "plan", new["plan"], 1, charge)]


def tax_on(rule, amount):
    if not rule:
        return 0, 0
    base = half_up(amount * fraction(rule["base"]))
    return base, half_up(base * fraction(rule["rate"]))


def computed(invoice, plans, terms):
    """Returns the lines, the subtotal, and the base and amount of the tax."""
    basis = terms["basis"]
    if basis["kind"] == "credit_note":
        lines = [(line["kind"], line["text"], line["quantity"], line["amount"]) for line in invoice["lines"]]
        subtotal, whole = sum(line[3] for line in lines), basis["subtotal"]

        def part_of_tax(amount):
            if terms["tax"]:
                return tax_on(terms["tax"], amount)
            return tuple(half_up(Fraction(basis["tax"][name] * amount, whole)) for name in ("base", "amount"))

        before, after = part_of_tax(basis["remaining"]), part_of_tax(basis["remaining"] - subtotal)
        return lines, subtotal, (before[0] - after[0], before[1] - after[1])
    if basis["kind"] == "change":
        lines = change_lines(basis, plans[basis["old_version"]], plans[basis["version"]])
    else:
        lines, advance = [], basis["advance"]
        if advance and plans[advance["plan_version"]]["price"]["price"]["amount"] > 0:
            plan = plans[advance["plan_version"]]
            lines.append(("plan", plan["plan"], 1, plan["price"]["price"]["amount"]))
        for part in basis["parts"]:
            lines += usage_lines(part, plans[part["plan_version"]], basis["billed"])
    subtotal = sum(line[3] for line in lines)
    return lines, subtotal, tax_on(terms["tax"], subtotal)


def verify(raw, expected_key=None):
    manifest, files = opened(raw, expected_key)
    invoice, plans, terms, days = (json.loads(files.pop(name), parse_float=Fraction) for name in DOCUMENTS)
    plans = {plan["id"]: plan for plan in plans}
    lines, subtotal, (base, tax) = computed(invoice, plans, terms)
    for number, (stated, line) in enumerate(zip(invoice["lines"], lines), 1):
        same(f"line {number}", (stated["kind"], stated["text"], stated["quantity"], stated["amount"]), line)
    same("the number of lines", len(invoice["lines"]), len(lines))
    same("the subtotal", invoice["subtotal"], subtotal)
    same("the base of the tax", invoice["tax"]["base"], base)
    same("the tax", invoice["tax"]["amount"], tax)
    same("the total", invoice["total"], subtotal + tax)
    parts = {row["day"]: part for part in terms["basis"].get("parts", []) for row in part["usage"]}
    same("the days with usage", [listed["day"] for listed in days], sorted(parts))
    missing, requests = manifest.get("days_without_requests", []), 0
    prices = terms.get("prices")  # Absent if an older release listed the requests.
    if prices is not None:
        key = lambda price: (price["provider"], price["model"], price["answered_model"], price["version"])
        prices = {key(price): price for price in prices}
    for listed in days:
        file = files.pop(f"requests/{listed['day']}.jsonl", None)
        same(f"{listed['day']} has no requests", listed["day"] in missing, file is None)
        if file is not None:
            requests += check_day(listed["day"], file, parts[listed["day"]], listed, prices)
    same("files that no day lists", list(files), [])
    return invoice, requests, missing


def main():
    with open(sys.argv[1], "rb") as file:
        raw = file.read()
    try:
        invoice, requests, missing = verify(raw, *sys.argv[2:3])
    except Wrong as wrong:
        sys.exit(f"error: {wrong}")
    total = f"{invoice['total']} {invoice['currency']}"
    print(f"{invoice['number']}: {requests} requests add up to {total}; {len(missing)} days have no requests")


if __name__ == "__main__":
    main()
