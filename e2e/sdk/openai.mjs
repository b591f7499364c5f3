// Scenarios of the official OpenAI client. Usage: `node openai.mjs openai|azure current|earlier`.
import { createRequire } from "node:module";
import { Suite, assert, hasId, isA } from "./suite.mjs";
import { CALLS, large } from "./openai/calls.mjs";

const [flavour, edition] = process.argv.slice(2);
const name = edition === "earlier" ? "openai-earlier" : "openai";
const { version } = createRequire(import.meta.url)(`./node_modules/${name}/package.json`);
const library = await import(name);
const suite = flavour === "azure" ? new Suite("AzureOpenAI, Node", version) : new Suite("OpenAI, Node", version, "/v1");

/** Creates the client of a scenario. */
function make({ origin, id, key }, options = {}) {
  const all = { apiKey: key, defaultHeaders: { "X-Request-Id": id }, timeout: 15_000, ...options };
  if (flavour !== "azure") return new library.OpenAI({ ...all, baseURL: `${origin}/v1` });
  return new library.AzureOpenAI({ ...all, endpoint: origin, apiVersion: "2025-04-01-preview" });
}

const CAUGHT = {
  "unknown key": [library.AuthenticationError, "invalid_api_key"],
  "spent quota": [library.RateLimitError, "insufficient_quota"],
  "rate limit": [library.RateLimitError, "rate_limit_exceeded"],
  "unknown model": [library.NotFoundError, "model_not_found"],
  "upstream 500": [library.InternalServerError, null],
  "upstream 529": [library.InternalServerError, "overloaded"],
};

const client = {
  make,
  options: { once: { maxRetries: 0 }, again: { maxRetries: 2 }, within: (ms) => ({ maxRetries: 0, timeout: ms }) },
  leave: (signal) => ({ signal }),
  caught(error, fault) {
    const [type, code] = CAUGHT[fault];
    isA(error, type);
    assert.equal(error.code, code);
    hasId(error.requestID);
  },
  caughtInStream(error) {
    isA(error, library.APIError);
    assert.match(error.message, /is incomplete/);
  },
  isTimedOut: (error) => isA(error, library.APIConnectionTimeoutError),
  isAborted: (error) => isA(error, library.APIUserAbortError),
};

for (const [call, spec] of Object.entries(CALLS(library))) suite.cover(call, spec, client);
suite.limited("chat.completions.create", CALLS(library)["chat.completions.create"], client);
suite.add("chat.completions.create", "error", "large body", (at) => large(make(at), library));

await suite.run();
