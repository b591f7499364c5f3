"""Scenarios of the official OpenAI client. Usage: `calls_openai.py openai|azure`."""

import base64
import json
import struct
import sys
from contextlib import contextmanager, nullcontext

import openai

import suite
from suite import At, Client, Fault, Spec, has_id, has_text, is_a

AZURE = sys.argv[1] == "azure"
MESSAGES = [{"role": "user", "content": "hi"}]
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION = {"name": "get_weather", "parameters": PARAMETERS, "strict": True}
CHAT_TOOLS = [{"type": "function", "function": FUNCTION}]
RESPONSE_TOOLS = [{"type": "function", **FUNCTION}]
JAKARTA = '{"city":"Jakarta"}'
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PIXEL = ("pixel.png", base64.b64decode(PNG), "image/png")


class Place(openai.BaseModel):
    city: str


def sound() -> tuple[str, bytes, str]:
    """Returns a second of silence as a WAV file, the input of transcriptions."""
    rate = 8000
    form = struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)
    head = b"RIFF" + struct.pack("<I", 36 + 2 * rate) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return "speech.wav", head + b"data" + struct.pack("<I", 2 * rate) + bytes(2 * rate), "audio/wav"


def options_of(at: At, options: dict) -> dict:
    """Returns the options of a scenario's client."""
    common = {"api_key": at.key, "default_headers": {"X-Request-Id": at.id}, "timeout": 15, **options}
    if AZURE:
        return {**common, "azure_endpoint": at.origin, "api_version": "2025-04-01-preview"}
    return {**common, "base_url": f"{at.origin}/v1"}


def make(at: At, **options):
    """Copies the shared client: a new one would load the system's certificates again."""
    client = fresh(at, {}) if at.origin != suite.GATEWAY else SHARED
    own = {"api_key": at.key, "default_headers": {"X-Request-Id": at.id}, **options}
    return nullcontext(client.with_options(**own))


def fresh(at: At, options: dict):
    return (openai.AzureOpenAI if AZURE else openai.OpenAI)(**options_of(at, options))


SHARED = fresh(At("", suite.KEY), {})


def make_async(at: At, **options):
    return (openai.AsyncAzureOpenAI if AZURE else openai.AsyncOpenAI)(**options_of(at, options))


CAUGHT = {
    "unknown key": (openai.AuthenticationError, "invalid_api_key"),
    "spent quota": (openai.RateLimitError, "insufficient_quota"),
    "rate limit": (openai.RateLimitError, "rate_limit_exceeded"),
    "unknown model": (openai.NotFoundError, "model_not_found"),
    "upstream 500": (openai.InternalServerError, None),
    "upstream 529": (openai.InternalServerError, "overloaded"),
}


def caught(error: openai.APIStatusError, fault: Fault) -> None:
    kind, code = CAUGHT[fault.name]
    is_a(error, kind)
    assert error.code == code, error.code
    has_id(error.request_id)


def caught_in_stream(error: Exception) -> None:
    is_a(error, openai.APIError)
    assert "is incomplete" in str(error), str(error)


CLIENT = Client(
    make=make,
    make_async=make_async,
    again={"max_retries": 2},
    once={"max_retries": 0},
    within=lambda seconds: {"max_retries": 0, "timeout": seconds},
    status=lambda error: getattr(error, "status_code", 0),
    caught=caught,
    caught_in_stream=caught_in_stream,
    timed_out=lambda error: isinstance(error, openai.APITimeoutError),
)


def called(name: str, arguments: str) -> None:
    assert (name, json.loads(arguments)) == ("get_weather", {"city": "Jakarta"}), (name, arguments)


def chat_said(answer) -> None:
    has_text(answer.choices[0].message.content)
    assert answer.usage.total_tokens > 0
    has_id(answer._request_id)


def chat_tool(one, model: str) -> None:
    first = one.chat.completions.create(model=model, messages=MESSAGES, tools=CHAT_TOOLS).choices[0].message
    call = first.tool_calls[0]
    called(call.function.name, call.function.arguments)
    result = {"role": "tool", "tool_call_id": call.id, "content": "31 degrees"}
    second = one.chat.completions.create(model=model, messages=[*MESSAGES, first, result], tools=CHAT_TOOLS)
    has_text(second.choices[0].message.content)


def chat_tool_stream(one, model: str) -> None:
    with one.chat.completions.stream(model=model, messages=MESSAGES, tools=CHAT_TOOLS) as stream:
        call = stream.get_final_completion().choices[0].message.tool_calls[0]
    called(call.function.name, call.function.arguments)


def response_said(answer) -> None:
    has_text(answer.output_text)
    assert answer.usage.total_tokens > 0
    has_id(answer._request_id)


def response_tool(one, model: str) -> None:
    first = one.responses.create(model=model, input="hi", tools=RESPONSE_TOOLS)
    call = next(item for item in first.output if item.type == "function_call")
    called(call.name, call.arguments)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "31 degrees"}
    past = [{"role": "user", "content": "hi"}, *first.output, result]
    has_text(one.responses.create(model=model, input=past, tools=RESPONSE_TOOLS).output_text)


def response_tool_stream(one, model: str) -> None:
    with one.responses.stream(model=model, input="hi", tools=RESPONSE_TOOLS) as stream:
        call = next(item for item in stream.get_final_response().output if item.type == "function_call")
    called(call.name, call.arguments)


def embedded(answer) -> None:
    assert all(len(one.embedding) > 3 and all(isinstance(part, float) for part in one.embedding) for one in answer.data)
    assert answer.usage.total_tokens > 0


def drawn(answer) -> None:
    assert answer.data[0].b64_json or answer.data[0].url, answer


def listed(models) -> None:
    assert "tool" in [model.id for model in models]


def retrieved(model) -> None:
    assert model.id == "tool", model


def delta(event) -> str | None:
    return event.delta if event.type == "response.output_text.delta" else None


def spoke(answer) -> None:
    assert len(answer.content) > 20, answer.content


@contextmanager
def spoken(one, model: str):
    create = one.audio.speech.with_streaming_response.create
    with create(model=model, voice="alloy", input="hi") as answer:
        yield answer.iter_bytes()


def says_json(model: str) -> str:
    return "echo" if model == "mock" else model


CALLS = {
    "chat.completions.create": Spec(
        whole=lambda one, model: one.chat.completions.create(model=model, messages=MESSAGES),
        check=chat_said,
        stream=lambda one, model: one.chat.completions.create(model=model, messages=MESSAGES, stream=True),
        # Raises on a chunk without choices, which must not arrive without `include_usage`.
        piece=lambda chunk: chunk.choices[0].delta.content,
        tool=chat_tool,
    ),
    "chat.completions.stream": Spec(
        stream=lambda one, model: one.chat.completions.stream(model=model, messages=MESSAGES),
        piece=lambda event: event.delta if event.type == "content.delta" else None,
        tool_stream=chat_tool_stream,
    ),
    "chat.completions.parse": Spec(
        whole=lambda one, model: one.chat.completions.parse(
            model=says_json(model), messages=[{"role": "user", "content": JAKARTA}], response_format=Place
        ),
        check=lambda answer: is_a(answer.choices[0].message.parsed, Place),
    ),
    "completions.create": Spec(
        whole=lambda one, model: one.completions.create(model=model, prompt="hi"),
        check=lambda answer: has_text(answer.choices[0].text),
        stream=lambda one, model: one.completions.create(model=model, prompt="hi", stream=True),
        piece=lambda chunk: chunk.choices[0].text,
    ),
    "responses.create": Spec(
        whole=lambda one, model: one.responses.create(model=model, input="hi"),
        check=response_said,
        stream=lambda one, model: one.responses.create(model=model, input="hi", stream=True),
        piece=delta,
        tool=response_tool,
    ),
    "responses.stream": Spec(
        stream=lambda one, model: one.responses.stream(model=model, input="hi"),
        piece=delta,
        tool_stream=response_tool_stream,
    ),
    "responses.parse": Spec(
        whole=lambda one, model: one.responses.parse(model=says_json(model), input=JAKARTA, text_format=Place),
        check=lambda answer: is_a(answer.output_parsed, Place),
    ),
    "embeddings.create": Spec(
        # Without an encoding_format this client requests base64 and decodes it.
        whole=lambda one, model: one.embeddings.create(model=model, input=["one", "two"]),
        check=embedded,
    ),
    "embeddings.create (float)": Spec(
        whole=lambda one, model: one.embeddings.create(model=model, input="one", encoding_format="float"),
        check=embedded,
    ),
    "images.generate": Spec(
        whole=lambda one, model: one.images.generate(model=model, prompt="a tree"),
        check=drawn,
        stream=lambda one, model: one.images.generate(model=model, prompt="a tree", stream=True, partial_images=2),
        piece=lambda event: event.b64_json,
        brief=True,
    ),
    "images.edit": Spec(
        whole=lambda one, model: one.images.edit(model=model, image=PIXEL, prompt="a tree"),
        check=drawn,
        stream=lambda one, model: one.images.edit(
            model=model, image=PIXEL, prompt="a tree", stream=True, partial_images=2
        ),
        piece=lambda event: event.b64_json,
        brief=True,
    ),
    "audio.speech.create": Spec(
        whole=lambda one, model: one.audio.speech.create(model=model, voice="alloy", input="hi"),
        check=spoke,
        binary=True,
        note="Audio bytes have no error event, so the client reports an aborted stream as a connection error.",
        stream=spoken,
        piece=lambda part: "x" * len(part),
    ),
    "audio.transcriptions.create": Spec(
        whole=lambda one, model: one.audio.transcriptions.create(model=model, file=sound()),
        check=lambda answer: has_text(answer.text),
        stream=lambda one, model: one.audio.transcriptions.create(model=model, file=sound(), stream=True),
        piece=lambda event: event.delta if event.type == "transcript.text.delta" else None,
    ),
    "audio.translations.create": Spec(
        whole=lambda one, model: one.audio.translations.create(model=model, file=sound()),
        check=lambda answer: has_text(answer.text),
    ),
    "moderations.create": Spec(
        whole=lambda one, model: one.moderations.create(model=model, input="hi"),
        check=lambda answer: is_a(answer.results[0].flagged, bool),
    ),
    "models.list": Spec(whole=lambda one, _: one.models.list(), check=listed, free=True, fixed=True),
    "models.retrieve": Spec(whole=lambda one, _: one.models.retrieve("tool"), check=retrieved, free=True, fixed=True),
}


def large(at: At) -> None:
    """A body over the limit is refused before it is read; the client must still receive the refusal."""
    messages = [{"role": "user", "content": "x" * (2 * 1024 * 1024)}]
    with make(at) as one:
        error = suite.thrown(lambda: one.chat.completions.create(model="mock", messages=messages))
    assert getattr(error, "status_code", 0) == 413 and "larger than" in str(error), f"{type(error).__name__} {error}"


words = ("AzureOpenAI, Python", openai.__version__) if AZURE else ("OpenAI, Python", openai.__version__, "/v1")
scenarios = suite.Suite(*words)
for name, spec in CALLS.items():
    scenarios.cover(name, spec, CLIENT)
scenarios.limited("chat.completions.create", CALLS["chat.completions.create"], CLIENT)
scenarios.add("chat.completions.create", "error", "large body", large)
scenarios.run()
