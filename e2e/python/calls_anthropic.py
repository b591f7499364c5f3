"""Scenarios of the official Anthropic client."""

from contextlib import nullcontext

import anthropic
import pydantic

import suite
from suite import At, Client, Fault, Spec, has_id, has_text, is_a

MESSAGES = [{"role": "user", "content": "hi"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = [{"name": "get_weather", "input_schema": SCHEMA}]
MAX = {"max_tokens": 100}


class Place(pydantic.BaseModel):
    city: str


def options_of(at: At, options: dict) -> dict:
    """Returns the options of a scenario's client."""
    return {
        "api_key": at.key,
        "base_url": at.origin,
        "default_headers": {"X-Request-Id": at.id},
        "timeout": 15,
        **options,
    }


def make(at: At, **options):
    """Copies the shared client: a new one would load the system's certificates again."""
    client = anthropic.Anthropic(**options_of(at, {})) if at.origin != suite.GATEWAY else SHARED
    own = {"api_key": at.key, "default_headers": {"X-Request-Id": at.id}, **options}
    return nullcontext(client.with_options(**own))


SHARED = anthropic.Anthropic(**options_of(At("", suite.KEY), {}))
OVERLOADED = getattr(anthropic, "OverloadedError", anthropic.InternalServerError)
CAUGHT = {
    "unknown key": (anthropic.AuthenticationError, "authentication_error"),
    "spent quota": (anthropic.RateLimitError, "billing_error"),
    "rate limit": (anthropic.RateLimitError, "rate_limit_error"),
    "unknown model": (anthropic.NotFoundError, "not_found_error"),
    "upstream 500": (anthropic.InternalServerError, "api_error"),
    "upstream 529": (OVERLOADED, "overloaded_error"),
}


def caught(error: anthropic.APIStatusError, fault: Fault) -> None:
    kind, word = CAUGHT[fault.name]
    is_a(error, kind)
    assert error.body["error"]["type"] == word, error.body
    has_id(error.request_id)


def caught_in_stream(error: Exception) -> None:
    is_a(error, anthropic.APIError)
    assert "is incomplete" in str(error), str(error)


CLIENT = Client(
    make=make,
    make_async=lambda at, **options: anthropic.AsyncAnthropic(**options_of(at, options)),
    again={"max_retries": 2},
    once={"max_retries": 0},
    within=lambda seconds: {"max_retries": 0, "timeout": seconds},
    status=lambda error: getattr(error, "status_code", 0),
    caught=caught,
    caught_in_stream=caught_in_stream,
    timed_out=lambda error: isinstance(error, anthropic.APITimeoutError),
)


def text_of(message) -> str:
    return "".join(part.text for part in message.content if part.type == "text")


def said(message) -> None:
    has_text(text_of(message))
    assert message.stop_reason == "end_turn" and message.usage.output_tokens > 0, message
    has_id(message._request_id)


def called(message):
    call = next(part for part in message.content if part.type == "tool_use")
    assert (call.name, call.input) == ("get_weather", {"city": "Jakarta"}), call
    return call


def piece(event) -> str | None:
    if event.type == "content_block_delta" and event.delta.type == "text_delta":
        return event.delta.text
    return None


def create(of) -> Spec:
    def tool(one, model: str) -> None:
        first = of(one).create(model=model, messages=MESSAGES, tools=TOOLS, **MAX)
        result = {"type": "tool_result", "tool_use_id": called(first).id, "content": "31 degrees"}
        past = [*MESSAGES, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        has_text(text_of(of(one).create(model=model, messages=past, tools=TOOLS, **MAX)))

    return Spec(
        whole=lambda one, model: of(one).create(model=model, messages=MESSAGES, **MAX),
        check=said,
        stream=lambda one, model: of(one).create(model=model, messages=MESSAGES, stream=True, **MAX),
        piece=piece,
        tool=tool,
    )


def helper(of) -> Spec:
    def tool_stream(one, model: str) -> None:
        with of(one).stream(model=model, messages=MESSAGES, tools=TOOLS, **MAX) as stream:
            called(stream.get_final_message())

    return Spec(
        stream=lambda one, model: of(one).stream(model=model, messages=MESSAGES, **MAX),
        piece=piece,
        tool_stream=tool_stream,
    )


def parse(of) -> Spec:
    asked = [{"role": "user", "content": '{"city":"Jakarta"}'}]
    return Spec(
        whole=lambda one, model: of(one).parse(
            model="echo" if model == "mock" else model, messages=asked, output_format=Place, **MAX
        ),
        check=lambda message: is_a(message.parsed_output, Place),
    )


def count(of) -> Spec:
    return Spec(
        whole=lambda one, model: of(one).count_tokens(model=model, messages=MESSAGES),
        check=lambda answer: is_a(answer.input_tokens or None, int),
        free=True,
    )


def listed(models) -> None:
    assert "tool" in [model.id for model in models]


def retrieved(model) -> None:
    assert (model.id, model.type) == ("tool", "model"), model


def run_tools(one, model: str) -> None:
    """The client itself calls the tool and continues."""
    cities = []

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """Get the weather.

        Args:
            city: Where.
        """
        cities.append(city)
        return "31 degrees"

    runner = one.beta.messages.tool_runner(model=model, messages=MESSAGES, tools=[get_weather], **MAX)
    has_text(text_of(runner.until_done()))
    assert cities == ["Jakarta"], cities


def plain(one):
    return one.messages


def beta(one):
    return one.beta.messages


CALLS = {
    "messages.create": create(plain),
    "messages.stream": helper(plain),
    "messages.parse": parse(plain),
    "messages.count_tokens": count(plain),
    "beta.messages.create": create(beta),
    "beta.messages.stream": helper(beta),
    "beta.messages.parse": parse(beta),
    "beta.messages.count_tokens": count(beta),
    "models.list": Spec(whole=lambda one, _: one.models.list(), check=listed, free=True, fixed=True),
    "models.retrieve": Spec(whole=lambda one, _: one.models.retrieve("tool"), check=retrieved, free=True, fixed=True),
}


def large(at: At) -> None:
    messages = [{"role": "user", "content": "x" * (2 * 1024 * 1024)}]
    with make(at) as one:
        error = suite.thrown(lambda: one.messages.create(model="mock", messages=messages, **MAX))
    is_a(error, getattr(anthropic, "ContentTooLargeError", getattr(anthropic, "RequestTooLargeError", anthropic.APIStatusError)))
    assert error.status_code == 413 and "larger than" in str(error), str(error)


def bearer(at: At) -> None:
    with anthropic.Anthropic(**{**options_of(at, {}), "api_key": None, "auth_token": at.key}) as one:
        said(one.messages.create(model="mock", messages=MESSAGES, **MAX))


def runner(at: At) -> None:
    with make(at) as one:
        run_tools(one, "tool")


scenarios = suite.Suite("Anthropic, Python", anthropic.__version__)
for name, spec in CALLS.items():
    scenarios.cover(name, spec, CLIENT)
scenarios.add("beta.messages.tool_runner", "tool", "called and answered", runner, requests=2)
scenarios.add("messages.create", "ok", "key as auth_token", bearer)
scenarios.limited("messages.create", CALLS["messages.create"], CLIENT)
scenarios.add("messages.create", "error", "large body", large)
scenarios.run()
