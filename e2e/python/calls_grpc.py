"""Calls a gRPC server through Tollgate, over TLS or without it, and prints the number of calls. A second argument names the only kind."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from queue import Queue

import grpc

# Maximum duration of a call that must succeed.
PATIENCE_S = 30.0
KEY = ("authorization", f"Bearer {os.environ['KEY']}")
METADATA = (KEY, ("x-sent", "value"))
# Just below the limit of grpcio, 4 MiB.
LARGE = bytes(range(256)) * 16_000
calls = 0


def channel(name: str) -> grpc.Channel:
    if name == "PLAIN":
        return grpc.insecure_channel(os.environ["PLAIN"])
    trusted = grpc.ssl_channel_credentials(Path(os.environ["CA"]).read_bytes())
    return grpc.secure_channel(os.environ["TLS"], trusted)


def counted(method: Callable) -> Callable:
    """Calls `method` with the key and a deadline, and counts the call."""

    def call(*arguments, timeout: float = PATIENCE_S, **options):
        global calls
        calls += 1
        return method(*arguments, timeout=timeout, metadata=METADATA, **options)

    return call


def failed(run: Callable) -> grpc.RpcError:
    try:
        value = run()
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"no error: {value!r}")


def trailers(call: grpc.Call) -> dict:
    return {key: value for key, value in call.trailing_metadata() if key.startswith("x-trailer")}


def unary(to: grpc.Channel) -> None:
    reverse = counted(to.unary_unary("/test.Service/Reverse").with_call)
    for message in (b"hello", b"", LARGE):
        response, call = reverse(message)
        assert response == message[::-1]
        assert call.code() == grpc.StatusCode.OK
        assert trailers(call) == {"x-trailer": "value", "x-trailer-bin": b"\x00\xff"}, call.trailing_metadata()


def errors(to: grpc.Channel) -> None:
    error = failed(lambda: counted(to.unary_unary("/test.Service/Fail"))(b"it"))
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "no such thing: it – 100%"), error
    assert trailers(error) == {"x-trailer": "failed"}
    # The server has no such method: its response is a head alone.
    error = failed(lambda: counted(to.unary_unary("/test.Service/Absent"))(b""))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
    stream = counted(to.unary_stream("/test.Service/FailLate"))(b"one")
    assert next(stream) == b"one"
    error = failed(lambda: next(stream))
    assert (error.code(), error.details()) == (grpc.StatusCode.DATA_LOSS, "lost"), error
    # Tollgate refuses a call without a key.
    error = failed(lambda: to.unary_unary("/test.Service/Reverse")(b"", timeout=PATIENCE_S))
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error
    assert "key" in error.details(), error


def server_streaming(to: grpc.Channel) -> None:
    stream = counted(to.unary_stream("/test.Service/Count"))(b"100")
    assert next(stream) == b"0 " * 1_000
    # The server sends the second message only after this call.
    counted(to.unary_unary("/test.Service/Release"))(b"")
    assert list(stream) == [f"{number} ".encode() * 1_000 for number in range(1, 100)]
    assert stream.code() == grpc.StatusCode.OK


def client_streaming(to: grpc.Channel) -> None:
    collect = counted(to.stream_unary("/test.Service/Collect"))
    assert collect(b"x" * 10_000 for _ in range(300)) == b"300 3000000"
    assert collect(iter(())) == b"0 0"


def bidirectional(to: grpc.Channel) -> None:
    requests: Queue[bytes | None] = Queue()
    stream = counted(to.stream_stream("/test.Service/Chat"))(iter(requests.get, None))
    for number in range(50):
        requests.put(f"message {number}".encode())
        # The response to each message arrives before the next message is sent.
        assert next(stream) == f"re: message {number}".encode()
    requests.put(None)
    assert list(stream) == []
    assert trailers(stream) == {"x-trailer": "end"}


def deadline(to: grpc.Channel) -> None:
    stream = counted(to.unary_stream("/test.Service/Wait"))(b"", timeout=2.0)
    # The server knows the deadline.
    assert 0 < float(next(stream)) < 3.0
    assert failed(lambda: next(stream)).code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert counted(to.unary_unary("/test.Service/Cancellation"))(b"") == b"cancelled"


def cancellation(to: grpc.Channel) -> None:
    stream = counted(to.unary_stream("/test.Service/Wait"))(b"")
    next(stream)
    stream.cancel()
    assert failed(lambda: next(stream)).code() == grpc.StatusCode.CANCELLED
    assert counted(to.unary_unary("/test.Service/Cancellation"))(b"") == b"cancelled"


with channel(sys.argv[1]) as to:
    for check in (unary, errors, server_streaming, client_streaming, bidirectional, deadline, cancellation):
        if check.__name__ in (sys.argv[2:] or check.__name__):
            check(to)
print(calls, flush=True)
# Threads of grpc may still use Python while it ends.
os._exit(0)
