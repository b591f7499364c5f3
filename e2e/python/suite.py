"""Shared by all scripts: runs the scenarios, at most AT_ONCE at a time, and prints one line of JSON for each."""

import asyncio
import inspect
import json
import os
import re
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any, AsyncIterator, Callable

GATEWAY, PROBE, ARRIVALS = os.environ["GATEWAY"], os.environ["PROBE"], os.environ["ARRIVALS"]
KEY, KEY_FEW, KEY_SPENT, KEY_UNKNOWN = (os.environ[f"KEY{name}"] for name in ("", "_FEW", "_SPENT", "_UNKNOWN"))
# If set, only scenarios of these calls and cases run: `CALL CASE;CALL CASE`.
ONLY = os.environ.get("ONLY")
AT_ONCE = 10
# Format of Tollgate's request ids.
UUID_V7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
# Timeouts of the client in timeout scenarios. If a request does not arrive in time, another one has the next timeout.
IMPATIENT_S = (1.0, 4.0, 16.0)
# Timeout for the arrival of a request.
ARRIVAL_S = 30.0


@dataclass
class At:
    """The id, key and origin of a scenario: `id` is sent as `x-request-id`, by which the log is searched."""

    id: str
    key: str
    origin: str = GATEWAY


@dataclass(frozen=True)
class Fault:
    """A failure that a scenario provokes; each script checks how its client reports it."""

    name: str
    status: int
    says: str
    model: str = "mock"
    key: str = KEY
    once: bool = False


FAULTS = [
    Fault("unknown key", 401, "key", key=KEY_UNKNOWN),
    Fault("spent quota", 429, "quota", key=KEY_SPENT),
    Fault("unknown model", 404, "no-such-model", model="no-such-model"),
    Fault("upstream 500", 500, "mock", model="failing", once=True),
    Fault("upstream 529", 529, "mock", model="overloaded", once=True),
]


@dataclass(frozen=True)
class Spec:
    """One call of a library.

    `whole(client, model)` also runs with the asynchronous client, whose result is awaited. `stream` returns an iterable
    of events; `piece` returns the text of one event. `tool` sends two requests, `tool_stream` one. A `free` call costs
    no credits, a `fixed` one has no model parameter. A `binary` stream has no events, a `brief` one only a few.
    """

    check: Callable[[Any], None] = lambda _: None
    whole: Callable[[Any, str], Any] | None = None
    stream: Callable[[Any, str], Any] | None = None
    piece: Callable[[Any], str | None] = lambda _: ""
    tool: Callable[[Any, str], None] | None = None
    tool_stream: Callable[[Any, str], None] | None = None
    free: bool = False
    fixed: bool = False
    binary: bool = False
    brief: bool = False
    note: str | None = None


@dataclass(frozen=True)
class Client:
    """A client library.

    `make` and `make_async` create the client of a scenario. `again`, `once` and `within` are options of `make`: with
    retries, without retries, and with a timeout. The other fields check how the library reports failures.
    """

    make: Callable[..., AbstractContextManager]
    make_async: Callable[..., Any]
    again: dict
    once: dict
    within: Callable[[float], dict]
    status: Callable[[Exception], int]
    caught: Callable[[Exception, Fault], None]
    caught_in_stream: Callable[[Exception], None]
    timed_out: Callable[[Exception], bool]
    notes: dict = field(default_factory=dict)


def has_text(text: Any) -> None:
    assert isinstance(text, str) and len(text.strip()) > 3, f"no text: {text!r}"


def has_id(text: Any) -> None:
    assert UUID_V7.search(str(text)), f"no id: {text!r}"


def is_a(error: Exception, kind: type) -> None:
    assert isinstance(error, kind), f"{type(error).__name__} is not a {kind.__name__}: {error}"


def has_arrived(request_id: str, *, wait: bool) -> bool:
    """Whether the request has arrived at the provider of the model `held`, which never answers. `wait` waits for it."""
    connection = HTTPConnection(ARRIVALS.removeprefix("http://"), timeout=ARRIVAL_S)
    try:
        connection.request("GET", f"/{'arrived' if wait else 'has-arrived'}/{request_id}")
        return connection.getresponse().status == 200
    finally:
        connection.close()


def thrown(run: Callable[[], Any]) -> Exception:
    try:
        value = run()
    except AssertionError:
        raise
    except Exception as error:
        return error
    raise AssertionError(f"no exception was raised: {value!r}"[:300])


def drained(opened: Any, piece: Callable[[Any], str | None]) -> str:
    """Returns the text of a whole stream, which may be a context manager."""
    with opened if hasattr(opened, "__enter__") else nullcontext(opened) as events:
        return "".join(piece(event) or "" for event in events)


class Suite:
    def __init__(self, client: str, version: str, base: str = "") -> None:
        """Takes the client's name in the table, its package version, and the path of its base URL."""
        self.client, self.version, self.base, self.scenarios = client, version, base, []
        self.probe = None

    def add(
        self,
        call: str,
        case: str,
        name: str,
        run: Callable[[At], Any],
        *,
        requests: int = 1,
        key: str = KEY,
        note: str | None = None,
    ) -> None:
        line = {"client": self.client, "version": self.version, "base": self.base, "call": call, "case": case}
        line |= {"name": name, "id": self._id(len(self.scenarios)), "requests": requests, "note": note}
        self.scenarios.append((line, run, key))

    def cover(self, call: str, spec: Spec, client: Client) -> None:
        """Adds all scenarios of one call."""

        def calling(at: At, model: str, **options: Any) -> Any:
            with client.make(at, **options) as one:
                if spec.whole:
                    return spec.whole(one, model)
                return drained(spec.stream(one, model), spec.piece)

        def with_one(run: Callable[[Any, str], Any]) -> Callable[[At], None]:
            def scenario(at: At) -> None:
                with client.make(at) as one:
                    run(one, "tool")

            return scenario

        # One request to the probe, which records the headers that the client sends.
        self.probe = self.probe or (lambda: calling(At(self._id("probe"), KEY, PROBE), "mock", **client.once))
        if spec.whole:
            self.add(call, "ok", "whole", lambda at: spec.check(calling(at, "mock")))
            self.add(call, "ok", "asynchronous", lambda at: spec.check(asyncio.run(self._asynchronous(at, spec, client))))
        if spec.tool:
            self.add(call, "tool", "called and answered", with_one(spec.tool), requests=2)
        if spec.tool_stream:
            self.add(call, "tool", "streamed", with_one(spec.tool_stream))
        if spec.stream:
            self._streams(call, spec, client)
        for fault in FAULTS:
            if spec.fixed if fault.model != "mock" else spec.free and fault.status == 429:
                continue
            # A provider that fails to count is replaced by an estimate.
            if spec.free and fault.once:
                continue

            def run(at: At, fault: Fault = fault) -> None:
                error = thrown(lambda: calling(at, fault.model, **(client.once if fault.once else {})))
                assert client.status(error) == fault.status, f"{type(error).__name__} {error}: {error.__cause__!r}"
                assert fault.says in str(error), str(error)
                client.caught(error, fault)

            self.add(call, "error", fault.name, run, key=fault.key, note=client.notes.get("error"))
        if spec.fixed:
            return
        for model, status in [] if spec.free else [("busy", 429), ("away", 503)]:
            again = lambda at, model=model: calling(at, model, **client.again)
            self.add(call, "retry", f"after {status}", again, requests=2, note=client.notes.get("retry"))

        def impatient(at: At) -> None:
            for seconds in IMPATIENT_S:
                error = thrown(lambda seconds=seconds: calling(at, "held", **client.within(seconds)))
                assert client.timed_out(error), f"{type(error).__name__} {error}"
                if has_arrived(at.id, wait=False):
                    return
                # The log must contain one request with the id of the scenario.
                at.id = f"again-{at.id}"
            raise AssertionError("no request arrived before its timeout")

        self.add(call, "timeout", "of the client", impatient)
        if spec.whole:
            self.add(call, "cancel", "before the answer", lambda at: asyncio.run(self._cancelled(at, spec, client)))

    def limited(self, call: str, spec: Spec, client: Client) -> None:
        """Adds the scenario in which a key with one request per minute sends two."""

        def run(at: At) -> None:
            with client.make(at, **client.once) as one:
                spec.whole(one, "mock")
                error = thrown(lambda: spec.whole(one, "mock"))
            assert client.status(error) == 429 and "a minute" in str(error), f"{type(error).__name__} {error}"
            client.caught(error, Fault("rate limit", 429, "a minute"))

        self.add(call, "error", "rate limit", run, requests=2, key=KEY_FEW)

    def _streams(self, call: str, spec: Spec, client: Client) -> None:
        enough, endless = (1, "paced") if spec.brief else (3, "long")

        def to_its_end(at: At) -> None:
            with client.make(at) as one:
                has_text(drained(spec.stream(one, "mock"), spec.piece))

        def broken(at: At, model: str) -> None:
            with client.make(at, **client.once) as one:
                error = thrown(lambda: drained(spec.stream(one, model), spec.piece))
                # A stream of bytes has no event that could report the reason of its end.
                if not spec.binary:
                    client.caught_in_stream(error)

        def left(at: At) -> None:
            with client.make(at) as one:
                opened = spec.stream(one, endless)
                with opened if hasattr(opened, "__enter__") else nullcontext(opened) as events:
                    seen = [event for _, event in zip(range(enough), events)]
                    assert len(seen) == enough
                    events.close()

        async def asynchronous(at: At) -> None:
            async with client.make_async(at) as one:
                has_text("".join([spec.piece(event) or "" async for event in events_of(spec.stream(one, "mock"))]))

        async def cancelled(at: At) -> None:
            async with client.make_async(at) as one:
                reached = asyncio.Event()

                async def read() -> None:
                    seen = 0
                    async for _ in events_of(spec.stream(one, endless)):
                        seen += 1
                        if seen == enough:
                            reached.set()

                task = asyncio.create_task(read())
                await reached.wait()
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled(), task

        self.add(call, "stream", "to its end", to_its_end)
        if not spec.brief:
            self.add(call, "stream", "cut upstream", lambda at: broken(at, "cut"), note=spec.note)
        # The upstream ends the stream cleanly, but before the format's last event, which streams of bytes lack.
        if not spec.brief and not spec.binary:
            self.add(call, "stream", "ended early upstream", lambda at: broken(at, "unfinished"), note=spec.note)
        self.add(call, "cancel", "in a stream", left)
        if not spec.binary:
            self.add(call, "stream", "asynchronous", lambda at: asyncio.run(asynchronous(at)))
            self.add(call, "cancel", "in an asynchronous stream", lambda at: asyncio.run(cancelled(at)))

    async def _asynchronous(self, at: At, spec: Spec, client: Client) -> Any:
        async with client.make_async(at) as one:
            return await settled(spec.whole(one, "mock"))

    async def _cancelled(self, at: At, spec: Spec, client: Client) -> None:
        async with client.make_async(at, **client.once) as one:
            task = asyncio.ensure_future(settled(spec.whole(one, "held")))
            arrival = asyncio.ensure_future(asyncio.to_thread(has_arrived, at.id, wait=True))
            await asyncio.wait([task, arrival], return_when=asyncio.FIRST_COMPLETED)
            assert not task.done(), task
            assert arrival.result(), "the request has not arrived"
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled(), task

    def _id(self, scenario: int | str) -> str:
        client = re.sub("[^A-Za-z0-9]+", "-", self.client)
        return f"{client}-{self.version}.{scenario}"

    def run(self) -> None:
        thrown(self.probe)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for line in threads.map(lambda scenario: one(*scenario), filter(is_chosen, self.scenarios)):
                print(json.dumps(line))
        sys.stdout.flush()
        # Threads of some clients would delay the end of the process.
        os._exit(0)


def is_chosen(scenario: tuple) -> bool:
    line = scenario[0]
    return not ONLY or f"{line['call']} {line['case']}" in ONLY.split(";")


async def events_of(opened: Any) -> AsyncIterator[Any]:
    """Yields the events of an asynchronous client's stream, which may be a context manager."""
    if inspect.isawaitable(opened):
        opened = await opened
    if hasattr(opened, "__aenter__"):
        async with opened as events:
            async for event in events:
                yield event
    else:
        async for event in opened:
            yield event


async def settled(value: Any) -> Any:
    """Returns the result of an asynchronous call; a pager is read to its end."""
    if hasattr(value, "__aiter__") and not inspect.isawaitable(value):
        return [item async for item in value]
    value = await value
    return [item async for item in value] if hasattr(value, "__aiter__") else value


def one(line: dict, run: Callable[[At], Any], key: str) -> dict:
    at = At(line["id"], key)
    try:
        run(at)
        detail = ""
    except BaseException as error:
        detail = f"{type(error).__name__}: {error}\n{traceback.format_exc()[-1500:]}"
    return {**line, "id": at.id, "pass": not detail, "detail": detail}
