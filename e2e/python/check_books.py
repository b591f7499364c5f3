"""Reads exported postings (CSV) from its standard input, adds them with Beancount, and prints the errors and the balance of each
account as JSON. Beancount refuses transactions that do not sum to zero."""

import csv
import json
import sys
from collections import defaultdict
from decimal import Decimal

from beancount import loader
from beancount.core import data

ACCOUNTS = {
    "receivable": "Assets:Receivable",
    "clearing": "Assets:Clearing",
    "revenue": "Income:Revenue",
    "tax": "Liabilities:Tax",
    "wallet": "Liabilities:Wallet",
    "write_off": "Expenses:WriteOff",
}


def books(rows: list[dict[str, str]]) -> str:
    transactions = defaultdict(list)
    for row in rows:
        transactions[row["transaction_id"]].append(row)
    lines = [f"2000-01-01 open {account}" for account in ACCOUNTS.values()]
    for entries in transactions.values():
        lines.append(f'{entries[0]["at"][:10]} * "{entries[0]["reason"]}"')
        lines += [f'  {ACCOUNTS[entry["account"]]}  {entry["amount"]} {entry["currency"]}' for entry in entries]
    return "\n".join(lines) + "\n"


def main() -> None:
    entries, errors, _ = loader.load_string(books(list(csv.DictReader(sys.stdin))))
    balances: dict[str, Decimal] = defaultdict(Decimal)
    transactions = list(data.filter_txns(entries))
    for transaction in transactions:
        for posting in transaction.postings:
            balances[posting.account] += posting.units.number
    shown = {account: str(balance.normalize()) for account, balance in balances.items()}
    print(json.dumps({"transactions": len(transactions), "errors": [error.message for error in errors], "balances": shown}))


main()
