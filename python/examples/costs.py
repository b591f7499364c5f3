"""Adds up the cost of a receipt's requests by model: python3 costs.py RECEIPT [PUBLIC_KEY]

The exit status is 0, or 1 if the receipt is not valid.
"""

import sys
from collections import Counter

import tollgate


def main(path: str, *key: str) -> int:
    try:
        costs: Counter[str] = Counter()
        for request in tollgate.requests(path, *key):
            costs[request.get("model") or "(no model)"] += request.get("cost_nano", 0)
    except tollgate.VerifyError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return 1
    for model, nano_usd in costs.most_common():
        print(f"{tollgate.Money(nano_usd).usd:f} USD  {model}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
