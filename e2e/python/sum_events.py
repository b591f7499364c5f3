"""Sums exported events with ClickHouse. Argument: the folder of the files. Prints one JSON object."""

import sys

import chdb

SUMS = """
SELECT count() AS rows, uniqExact(id) AS ids, sum(requests) AS requests, sum(counted_requests) AS counted,
    sum(credits) AS credits, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    uniqExact(key) AS keys, min(started_at) > toDateTime64('2026-01-01 00:00:00', 6) AS is_recent
FROM {source}
SETTINGS output_format_json_quote_64bit_integers = 0
"""


def main() -> None:
    files = f"(SELECT * FROM file('{sys.argv[1]}/events-*.jsonl', 'JSONEachRow') LIMIT 1 BY id)"
    print(str(chdb.query(SUMS.format(source=files), "JSONEachRow")).strip())


if __name__ == "__main__":
    main()
