"""A gRPC server whose messages are bytes. It prints its port, and serves until its standard input ends.

It has TLS if CERTIFICATE and KEY are files. Each line of its input, such as NOT_SERVING, is the health of its service from then on."""

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

THREADS = 16
# Longer than any deadline of a test.
FOREVER_S = 60.0

cancelled = threading.Semaphore(0)
go_on = threading.Event()


def reverse(request: bytes, context: grpc.ServicerContext) -> bytes:
    """Returns the request reversed, and a field of the request's metadata as a trailer."""
    sent = dict(context.invocation_metadata())
    context.set_trailing_metadata((("x-trailer", sent.get("x-sent", "")), ("x-trailer-bin", b"\x00\xff")))
    return request[::-1]


def fail(request: bytes, context: grpc.ServicerContext) -> bytes:
    context.set_trailing_metadata((("x-trailer", "failed"),))
    context.abort(grpc.StatusCode.NOT_FOUND, f"no such thing: {request.decode()} – 100%")


def fail_late(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    """Fails after one message."""
    yield request
    context.abort(grpc.StatusCode.DATA_LOSS, "lost")


def count(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    """Returns as many messages as the request says. The second one waits for a call of `release`."""
    for number in range(int(request)):
        if number == 1 and not go_on.wait(FOREVER_S):
            context.abort(grpc.StatusCode.INTERNAL, "the client has not read the first message")
        yield f"{number} ".encode() * 1_000


def release(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    go_on.set()
    return b""


def collect(requests: Iterator[bytes], _context: grpc.ServicerContext) -> bytes:
    """Returns the number of messages, and their length."""
    messages = list(requests)
    return f"{len(messages)} {sum(map(len, messages))}".encode()


def chat(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    """Responds to each message before it reads the next one."""
    for request in requests:
        yield b"re: " + request
    context.set_trailing_metadata((("x-trailer", "end"),))


def wait(_request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    """Returns the time that remains, then waits until the call ends."""
    ended = threading.Event()

    def end() -> None:
        ended.set()
        cancelled.release()

    # grpcio does not resume the handler of a call that ends while its message is being sent.
    context.add_callback(end)
    yield str(context.time_remaining()).encode()
    ended.wait(FOREVER_S)


def cancellation(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    """Waits until a call of `wait` has ended early."""
    return b"cancelled" if cancelled.acquire(timeout=10.0) else b"not cancelled"


HANDLERS = {
    "Reverse": grpc.unary_unary_rpc_method_handler(reverse),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "FailLate": grpc.unary_stream_rpc_method_handler(fail_late),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Release": grpc.unary_unary_rpc_method_handler(release),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Wait": grpc.unary_stream_rpc_method_handler(wait),
    "Cancellation": grpc.unary_unary_rpc_method_handler(cancellation),
}

server = grpc.server(ThreadPoolExecutor(THREADS))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Service", HANDLERS)])
checks = health.HealthServicer()
checks.set("test.Service", health_pb2.HealthCheckResponse.SERVING)
health_pb2_grpc.add_HealthServicer_to_server(checks, server)
if "CERTIFICATE" in os.environ:
    pair = tuple(Path(os.environ[name]).read_bytes() for name in ("KEY", "CERTIFICATE"))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
else:
    port = server.add_insecure_port("127.0.0.1:0")
print(port, flush=True)
server.start()
for line in sys.stdin:
    checks.set("test.Service", health_pb2.HealthCheckResponse.ServingStatus.Value(line.strip()))
server.stop(None)
