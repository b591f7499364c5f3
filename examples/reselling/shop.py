"""Manages customers with an admin key, as the server of a shop would.

shop.py open NAME    creates a user with the plan `retail` and a key, and prints them as JSON
shop.py usage FILE   prints this month's usage of the customer in a file that `open` printed
"""

import datetime
import json
import os
import sys
import urllib.error
import urllib.request

API = "http://127.0.0.1:8787"


class Refused(Exception):
    """The API refused a request."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code = error["code"]


def call(method, path, body=None, headers=None):
    headers = {"Authorization": f"Bearer {os.environ['ADMIN_KEY']}", **(headers or {})}
    if body is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(body).encode()
    request = urllib.request.Request(API + path, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)
    except urllib.error.HTTPError as refusal:
        raise Refused(json.load(refusal)["error"]) from None


def open_account(name):
    try:
        plan = {"name": "retail", "credits_per_day": 1000, "budgets": [{"money": "20 USD", "per": "month"}]}
        call("POST", "/api/plans", plan)
    except Refused as refusal:
        if refusal.code != "conflict":  # The plan exists since the first customer.
            raise
    user = call("POST", "/api/users", {"kind": "service", "name": name, "plan": "retail"})["user"]
    # If the response is lost, the same request returns the same key with a new secret.
    key = call("POST", "/api/keys", {"label": name, "user_id": user["id"]}, {"Idempotency-Key": user["id"]})
    print(json.dumps({"name": name, "user": user["id"], "key": key["key"]}, indent=2))


def usage(file):
    with open(file, encoding="utf-8") as saved:
        customer = json.load(saved)
    today = datetime.datetime.now(datetime.timezone.utc).date()
    days = call("GET", f"/api/usage/history?days={today.day}&user_id={customer['user']}")["days"]
    requests = sum(day["requests"] for day in days)
    nano = sum(day["cost"]["amount_nano"] for day in days)
    print(f"{customer['name']}: {requests} requests, {nano // 10**9}.{nano % 10**9:09} USD since {today:%Y-%m}-01")


try:
    {"open": open_account, "usage": usage}[sys.argv[1]](sys.argv[2])
except Refused as refusal:
    sys.exit(str(refusal))
