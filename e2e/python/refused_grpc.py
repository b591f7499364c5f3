"""Calls a gRPC server through Tollgate, which refuses most calls, and prints each status with its message as JSON."""

import json
import os
import sys

import grpc

# Maximum duration of a call whose end is expected earlier.
PATIENCE_S = 30.0
# Clients repeat calls that are UNAVAILABLE or RESOURCE_EXHAUSTED, unless the response forbids it.
RETRY = {"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.01s", "maxBackoff": "0.02s",
    "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]}}]}
options = [("grpc.service_config", json.dumps(RETRY)), ("grpc.enable_retries", 1)]

with grpc.insecure_channel(os.environ["PLAIN"], options) as to:
    for line in sys.stdin:
        call = json.loads(line)
        messages = [b"x" * length for length in call["messages"]]
        metadata = [("authorization", f"Bearer {os.environ['KEY']}"), *call.get("metadata", {}).items()]
        method = to.stream_unary(call["path"])
        try:
            result = method(iter(messages), timeout=call.get("timeout", PATIENCE_S), metadata=metadata)
            print(json.dumps({"code": "OK", "details": result.decode()}), flush=True)
        except grpc.RpcError as error:
            print(json.dumps({"code": error.code().name, "details": error.details()}), flush=True)
