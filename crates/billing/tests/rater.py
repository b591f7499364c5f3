"""An independent rater: events and plan versions in, invoice lines out.

It shares no code with Tollgate. It computes with fractions instead of integers, and with `datetime` instead of day
numbers. Usage: rater.py CASES.json prints the invoices of each case as JSON.
"""

import json
import sys
from calendar import monthrange
from datetime import date, timedelta
from fractions import Fraction


def half_up(value):
    """Rounds half away from zero."""
    sign = -1 if value < 0 else 1
    value = abs(value)
    whole = value.numerator // value.denominator
    return sign * (whole + (1 if value - whole >= Fraction(1, 2) else 0))


def next_first(first, anchor, interval):
    """The first day of the period after the one that begins on `first`."""
    months = first.year * 12 + first.month - 1 + (12 if interval == "year" else 1)
    year, month = divmod(months, 12)
    return date(year, month + 1, min(anchor, monthrange(year, month + 1)[1]))


def days(first, last):
    return (last - first).days + 1


class Rater:
    """The life of one subscription."""

    def __init__(self, case):
        self.case = case
        self.versions = {version["id"]: version for version in case["versions"]}
        self.usage = case["usage"]
        self.rates = sorted((date.fromisoformat(rate["from"]), Fraction(rate["idr"])) for rate in case["rates"])
        self.invoices = []

    def rate_of(self, day):
        return [rate for first, rate in self.rates if first <= day][-1]

    def counted(self, charge, first, last):
        """Units per day that a charge counts."""
        units = {}
        for row in self.usage:
            day = date.fromisoformat(row["day"])
            if not first <= day <= last:
                continue
            if charge["models"]:
                if row["model"] not in charge["models"]:
                    continue
            elif row["model"] is not None:
                continue
            units[day] = units.get(day, 0) + row[charge["metric"]]
        return units

    def charge_line(self, charge, first, last, whole):
        included = Fraction(charge["included"] * days(first, last), whole)
        left = included.numerator // included.denominator
        total, dollars = 0, Fraction(0)
        for day, units in sorted(self.counted(charge, first, last).items()):
            free = min(left, units)
            left -= free
            total += units - free
            if charge["metric"] == "cost_nano" and units > free:
                dollars += Fraction(units - free, 10**9) * self.rate_of(day)
        if total == 0:
            return None
        model = charge["model"]
        if model == "cost":
            amount = dollars * (1 + Fraction(charge["markup_percent"], 100))
        elif model == "per_unit":
            amount = total * Fraction(charge["unit"])
        elif model == "package":
            amount = -(-total // charge["size"]) * Fraction(charge["unit"])
        else:
            amount, below = Fraction(0), 0
            for tier in charge["tiers"]:
                end = total if tier["up_to"] is None else min(total, tier["up_to"])
                if end > below:
                    amount += (end - below) * Fraction(tier["unit"])
                    below = end
        return ["usage", charge["name"], total, half_up(amount)]

    def usage_lines(self, segments):
        lines = []
        for version, first, last, whole in segments:
            charges = self.versions[version]["charges"]
            lines += filter(None, (self.charge_line(charge, first, last, whole) for charge in charges))
            unpriced = sum(
                row["unpriced_requests"]
                for row in self.usage
                if row["model"] is None and first <= date.fromisoformat(row["day"]) <= last
            )
            if unpriced and charges:
                lines.append(["unpriced", "Requests without a known cost", unpriced, 0])
        return lines

    def issue(self, day, lines):
        subtotal = sum(line[3] for line in lines)
        base = tax = 0
        rule = self.case["tax"]
        if rule and date.fromisoformat(rule["from"]) <= day:
            base = half_up(Fraction(subtotal) * Fraction(rule["base"]))
            tax = half_up(base * Fraction(rule["rate"]))
        self.invoices.append({"lines": lines, "subtotal": subtotal, "base": base, "tax": tax, "total": subtotal + tax})

    def plan_line(self, version):
        price = self.versions[version]["price"]
        return [["plan", self.versions[version]["name"], 1, price]] if price else []

    def run(self):
        subscribed = date.fromisoformat(self.case["subscribed"])
        version, first, anchor = self.case["first_version"], subscribed, subscribed.day
        end = next_first(first, anchor, self.versions[version]["interval"]) - timedelta(days=1)
        changes = [(date.fromisoformat(change["day"]), change["version"]) for change in self.case["upgrades"]]
        segments, begun, whole = [], first, days(first, end)
        self.issue(first, self.plan_line(version))
        for _ in range(self.case["periods"]):
            while changes and first <= changes[0][0] <= end:
                day, new = changes.pop(0)
                old = self.versions[version]
                remaining = days(day, end)
                credit = half_up(Fraction(old["price"] * remaining, days(first, end)))
                same = old["interval"] == self.versions[new]["interval"]
                price = self.versions[new]["price"]
                charge = half_up(Fraction(price * remaining, days(first, end))) if same else price
                credit = min(credit, charge)
                lines = [["credit", old["name"], 1, -credit]] if credit else []
                lines.append(["proration" if same else "plan", self.versions[new]["name"], 1, charge])
                self.issue(day, lines)
                if day > begun:
                    segments.append((version, begun, day - timedelta(days=1), whole))
                version, begun = new, day
                if not same:
                    first, anchor = day, day.day
                    end = next_first(first, anchor, self.versions[version]["interval"]) - timedelta(days=1)
                    whole = days(first, end)
            segments.append((version, begun, end, whole))
            first = end + timedelta(days=1)
            end = next_first(first, anchor, self.versions[version]["interval"]) - timedelta(days=1)
            self.issue(first, self.plan_line(version) + self.usage_lines(segments))
            segments, begun, whole = [], first, days(first, end)
        return self.invoices


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    json.dump([Rater(case).run() for case in cases], sys.stdout)


if __name__ == "__main__":
    main()
