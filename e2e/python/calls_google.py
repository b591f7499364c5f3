"""Scenarios of the official Google client."""

import json
from contextlib import nullcontext

try:
    import httpx2 as httpx  # the HTTP library of 3.x
except ImportError:
    import httpx
from google import genai
from google.genai import errors, types

import suite
from suite import At, Client, Fault, Spec, has_id, has_text, is_a

CONTENTS = "hi"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"function_declarations": [{"name": "get_weather", "parameters_json_schema": SCHEMA}]}]


# Shared because each new client would load the system's certificates again.
SHARED = {"httpx_client": httpx.Client(), "httpx_async_client": httpx.AsyncClient()}


def client(at: At, options: dict) -> genai.Client:
    """Returns the options of a scenario's client; times are in milliseconds."""
    http = {"base_url": at.origin, "headers": {"X-Request-Id": at.id}, "timeout": 15_000, **options}
    return genai.Client(api_key=at.key, http_options=types.HttpOptions(**http))


CODES = {
    "unknown key": "key_unknown",
    "spent quota": "quota_exceeded",
    "rate limit": "rate_limited",
    "unknown model": "model_not_found",
}


def caught(error: errors.APIError, fault: Fault) -> None:
    is_a(error, errors.ClientError if fault.status < 500 else errors.ServerError)
    assert error.status and error.message, error
    if own := CODES.get(fault.name):
        detail = error.details["error"]["details"][0]
        assert detail["reason"] == own, detail
        has_id(detail["metadata"]["request_id"])
    has_id(error.response.headers["x-request-id"])


def caught_in_stream(error: Exception) -> None:
    assert "is incomplete" in str(error), f"{type(error).__name__} {error}"


CLIENT = Client(
    make=lambda at, **options: nullcontext(client(at, SHARED | options)),
    make_async=lambda at, **options: client(at, options).aio,
    again={"retry_options": types.HttpRetryOptions(attempts=2, initial_delay=0.05)},
    once={},
    within=lambda seconds: {"timeout": int(seconds * 1000)},
    status=lambda error: getattr(error, "code", 0),
    caught=caught,
    caught_in_stream=caught_in_stream,
    timed_out=lambda error: "Timeout" in type(error).__name__,
    notes={"retry": "Only if `retryOptions` (`retry_options`) is set; otherwise each request is sent once."},
)


def said(answer) -> None:
    has_text(answer.text)
    assert answer.candidates[0].finish_reason == "STOP" and answer.usage_metadata.total_token_count > 0, answer


def called(answer):
    call = answer.function_calls[0]
    assert (call.name, call.args) == ("get_weather", {"city": "Jakarta"}), call
    return call


def tool(one, model: str) -> None:
    config = {"tools": TOOLS}
    first = one.models.generate_content(model=model, contents=CONTENTS, config=config)
    result = types.Part.from_function_response(name=called(first).name, response={"output": "31 degrees"})
    asked = types.Content(role="user", parts=[types.Part(text=CONTENTS)])
    past = [asked, first.candidates[0].content, types.Content(role="user", parts=[result])]
    has_text(one.models.generate_content(model=model, contents=past, config=config).text)


def chat_tool(one, model: str) -> None:
    """The client itself calls the function and continues."""
    cities = []

    def get_weather(city: str) -> str:
        """Get the weather."""
        cities.append(city)
        return "31 degrees"

    has_text(one.chats.create(model=model, config={"tools": [get_weather]}).send_message(CONTENTS).text)
    assert cities == ["Jakarta"], cities


def tool_stream(one, model: str) -> None:
    answers = list(one.models.generate_content_stream(model=model, contents=CONTENTS, config={"tools": TOOLS}))
    called(next(answer for answer in answers if answer.function_calls))


def embedded(answer) -> None:
    assert len(answer.embeddings) == 2 and all(len(one.values) > 3 for one in answer.embeddings), answer


def is_jakarta(answer) -> None:
    assert json.loads(answer.text) == {"city": "Jakarta"}, answer.text


def listed(models) -> None:
    assert "models/tool" in [model.name for model in models]


def named(model) -> None:
    assert model.name == "models/tool", model


CALLS = {
    "models.generate_content": Spec(
        whole=lambda one, model: one.models.generate_content(model=model, contents=CONTENTS),
        check=said,
        tool=tool,
    ),
    "models.generate_content (structured)": Spec(
        whole=lambda one, model: one.models.generate_content(
            model="echo" if model == "mock" else model,
            contents='{"city":"Jakarta"}',
            config={"response_mime_type": "application/json", "response_json_schema": SCHEMA},
        ),
        check=is_jakarta,
    ),
    "models.generate_content_stream": Spec(
        stream=lambda one, model: one.models.generate_content_stream(model=model, contents=CONTENTS),
        piece=lambda answer: answer.text,
        tool_stream=tool_stream,
    ),
    "chats.send_message": Spec(
        whole=lambda one, model: one.chats.create(model=model).send_message(CONTENTS),
        check=said,
        tool=chat_tool,
    ),
    "chats.send_message_stream": Spec(
        stream=lambda one, model: one.chats.create(model=model).send_message_stream(CONTENTS),
        piece=lambda answer: answer.text,
    ),
    "models.count_tokens": Spec(
        whole=lambda one, model: one.models.count_tokens(model=model, contents=CONTENTS),
        check=lambda answer: is_a(answer.total_tokens or None, int),
        free=True,
    ),
    "models.embed_content": Spec(
        whole=lambda one, model: one.models.embed_content(model=model, contents=["one", "two"]),
        check=embedded,
    ),
    "models.list": Spec(whole=lambda one, _: one.models.list(), check=listed, free=True, fixed=True),
    "models.get": Spec(whole=lambda one, _: one.models.get(model="tool"), check=named, free=True, fixed=True),
}

scenarios = suite.Suite("Google, Python", genai.__version__)
for name, spec in CALLS.items():
    scenarios.cover(name, spec, CLIENT)
scenarios.limited("models.generate_content", CALLS["models.generate_content"], CLIENT)
scenarios.run()
