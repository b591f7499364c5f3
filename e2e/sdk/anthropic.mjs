// Scenarios of the official Anthropic client. Usage: `node anthropic.mjs current|earlier`.
import { createRequire } from "node:module";
import { Suite, assert, hasId, hasText, isA, thrown } from "./suite.mjs";

const edition = process.argv[2];
const name = edition === "earlier" ? "anthropic-earlier" : "@anthropic-ai/sdk";
const { version } = createRequire(import.meta.url)(`./node_modules/${name}/package.json`);
const library = await import(name);
const suite = new Suite("Anthropic, Node", version);

const messages = [{ role: "user", content: "hi" }];
const max_tokens = 100;
const schema = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const tools = [{ name: "get_weather", input_schema: schema }];

/** Creates the client of a scenario. */
function make({ origin, id, key }, options = {}) {
  const defaultHeaders = { "X-Request-Id": id };
  return new library.Anthropic({ baseURL: origin, apiKey: key, defaultHeaders, timeout: 15_000, ...options });
}

const CAUGHT = {
  "unknown key": [library.AuthenticationError, "authentication_error"],
  "spent quota": [library.RateLimitError, "billing_error"],
  "rate limit": [library.RateLimitError, "rate_limit_error"],
  "unknown model": [library.NotFoundError, "not_found_error"],
  "upstream 500": [library.InternalServerError, "api_error"],
  "upstream 529": [library.OverloadedError ?? library.InternalServerError, "overloaded_error"],
};

const client = {
  make,
  options: { once: { maxRetries: 0 }, again: { maxRetries: 2 }, within: (ms) => ({ maxRetries: 0, timeout: ms }) },
  leave: (signal) => ({ signal }),
  caught(error, fault) {
    const [type, word] = CAUGHT[fault];
    isA(error, type);
    assert.equal(error.error.error.type, word);
    hasId(error.requestID);
  },
  caughtInStream(error) {
    isA(error, library.APIError);
    assert.match(error.message, /is incomplete/);
  },
  isTimedOut: (error) => isA(error, library.APIConnectionTimeoutError),
  isAborted: (error) => isA(error, library.APIUserAbortError),
};

function textOf(message) {
  return message.content.filter((part) => part.type === "text").map((part) => part.text).join("");
}

function called(message) {
  const call = message.content.find((part) => part.type === "tool_use");
  assert.deepEqual([call.name, call.input, message.stop_reason], ["get_weather", { city: "Jakarta" }, "tool_use"]);
  return call;
}

function said(message) {
  hasText(textOf(message));
  assert.equal(message.stop_reason, "end_turn");
  assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0, JSON.stringify(message.usage));
}

const piece = (event) => (event.type === "content_block_delta" ? event.delta.text : "");

/** The calls that `messages` and `beta.messages` share. */
const create = (of) => ({
  whole: (one, model, options) => of(one).create({ model, max_tokens, messages }, options),
  check: (message) => {
    said(message);
    hasId(message._request_id);
  },
  stream: (one, model, options) => of(one).create({ model, max_tokens, messages, stream: true }, options),
  piece,
  tool: async (one, model) => {
    const first = await of(one).create({ model, max_tokens, messages, tools });
    const content = [{ type: "tool_result", tool_use_id: called(first).id, content: "31 degrees" }];
    const next = [...messages, { role: "assistant", content: first.content }, { role: "user", content }];
    hasText(textOf(await of(one).create({ model, max_tokens, messages: next, tools })));
  },
});
const helper = (of) => ({
  whole: (one, model, options) => of(one).stream({ model, max_tokens, messages }, options).finalMessage(),
  check: said,
  stream: async (one, model, options) => of(one).stream({ model, max_tokens, messages }, options),
  piece,
  toolStream: async (one, model) => called(await of(one).stream({ model, max_tokens, messages, tools }).finalMessage()),
});
const parse = (of) => ({
  whole: (one, model, options) => {
    const asked = model === "mock" ? "echo" : model; // answers with JSON
    const said = [{ role: "user", content: '{"city":"Jakarta"}' }];
    const output_config = { format: { type: "json_schema", schema } };
    return of(one).parse({ model: asked, max_tokens, messages: said, output_config }, options);
  },
  check: (message) => assert.equal(message.parsed_output?.city ?? JSON.parse(textOf(message)).city, "Jakarta"),
});
const count = (of) => ({
  free: true,
  whole: (one, model, options) => of(one).countTokens({ model, messages }, options),
  check: ({ input_tokens }) => assert.ok(input_tokens > 0),
});

const plain = (one) => one.messages;
const beta = (one) => one.beta.messages;
const CALLS = {
  "messages.create": create(plain),
  "messages.stream": helper(plain),
  "messages.parse": parse(plain),
  "messages.countTokens": count(plain),
  "beta.messages.create": create(beta),
  "beta.messages.stream": helper(beta),
  "beta.messages.parse": parse(beta),
  "beta.messages.countTokens": count(beta),
  "beta.messages.toolRunner": {
    // The client itself calls the tool and continues.
    tool: async (one, model) => {
      const cities = [];
      const run = ({ city }) => `${cities.push(city)} degrees`;
      const tool = { name: "get_weather", description: "", input_schema: schema, run, parse: (input) => input };
      hasText(textOf(await one.beta.messages.toolRunner({ model, max_tokens, messages, tools: [tool] })));
      assert.deepEqual(cities, ["Jakarta"]);
    },
    whole: (one, model, options) => one.beta.messages.toolRunner({ model, max_tokens, messages, tools: [] }, options),
    check: said,
  },
  "models.list": {
    fixed: true,
    free: true,
    whole: async (one, _model, options) => {
      const ids = [];
      for await (const { id } of one.models.list({}, options)) ids.push(id);
      return ids;
    },
    check: (ids) => assert.ok(ids.includes("tool"), ids.join(" ")),
  },
  "models.retrieve": {
    fixed: true,
    free: true,
    whole: (one, _model, options) => one.models.retrieve("tool", {}, options),
    check: (model) => assert.deepEqual([model.id, model.type], ["tool", "model"]),
  },
};

for (const [call, spec] of Object.entries(CALLS)) suite.cover(call, spec, client);
suite.add("messages.create", "ok", "key as authToken", async (at) => {
  said(await make(at, { apiKey: null, authToken: at.key }).messages.create({ model: "mock", max_tokens, messages }));
});
suite.limited("messages.create", CALLS["messages.create"], client);
suite.add("messages.create", "error", "large body", async (at) => {
  const content = "x".repeat(2 * 1024 * 1024);
  const error = await thrown(make(at).messages.create({ model: "mock", max_tokens, messages: [{ role: "user", content }] }));
  isA(error, library.ContentTooLargeError ?? library.APIError);
  assert.equal(error.status, 413);
  assert.match(error.message, /larger than/);
});

await suite.run();
