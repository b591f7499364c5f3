// Scenarios of the official Google client. Usage: `node google.mjs current|earlier`.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { Suite, assert, hasId, hasText, isA } from "./suite.mjs";

const edition = process.argv[2];
const name = edition === "earlier" ? "genai-earlier" : "@google/genai";
const resolved = createRequire(import.meta.url).resolve(name);
const folder = resolved.slice(0, resolved.indexOf(name) + name.length);
const { version } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
const library = await import(name);
const suite = new Suite("Google, Node", version);

const contents = "hi";
const declaration = {
  name: "get_weather",
  parametersJsonSchema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const tools = [{ functionDeclarations: [declaration] }];

/** Creates the client of a scenario. */
function make({ origin, id, key }, httpOptions = {}) {
  const options = { baseUrl: origin, headers: { "X-Request-Id": id }, timeout: 15_000, ...httpOptions };
  return new library.GoogleGenAI({ apiKey: key, httpOptions: options });
}

const CODES = {
  "unknown key": "key_unknown",
  "spent quota": "quota_exceeded",
  "rate limit": "rate_limited",
  "unknown model": "model_not_found",
};

const client = {
  make,
  notes: {
    error:
      "`ApiError` has the status. Its message is the whole body, with the message, the code (`details[0].reason`) and the request id (`details[0].metadata.request_id`).",
    cut:
      edition === "earlier"
        ? "Version 1.x recognizes an error in a stream only if it is a bare object, as Google sends it. Tollgate sends an event and a bare object; the stream then ends with `Incomplete JSON segment at the end`."
        : undefined,
    retry: "Only if `retryOptions` (`retry_options`) is set; otherwise each request is sent once.",
  },
  options: {
    once: {},
    again: { retryOptions: { attempts: 2, initialDelay: 0.05 } },
    within: (ms) => ({ timeout: ms }),
  },
  leave: (abortSignal) => ({ abortSignal }),
  caught(error, fault) {
    isA(error, library.ApiError);
    const { code, status, details } = JSON.parse(error.message).error;
    assert.equal(code, error.status);
    assert.match(status, /^[A-Z_]+$/);
    // The error class keeps no headers: the request id is visible in the body only.
    const own = CODES[fault];
    if (own) {
      const [{ reason, metadata }] = details;
      assert.equal(reason, own);
      hasId(metadata.request_id);
    }
  },
  caughtInStream(error) {
    assert.match(error.message, edition === "earlier" ? /Incomplete JSON segment/ : /is incomplete/);
  },
  isTimedOut: (error) => assert.match(`${error.name} ${error.message}`, /Abort|Timeout/i),
  isAborted: (error) => assert.match(`${error.name} ${error.message}`, /Abort/i),
};

function called(answer) {
  const [call] = answer.functionCalls;
  assert.deepEqual([call.name, call.args], ["get_weather", { city: "Jakarta" }]);
  return call;
}

function said(answer) {
  hasText(answer.text);
  assert.equal(answer.candidates[0].finishReason, "STOP");
  assert.ok(answer.usageMetadata.totalTokenCount > 0, JSON.stringify(answer.usageMetadata));
}

const CALLS = {
  "models.generateContent": {
    whole: (one, model, config) => one.models.generateContent({ model, contents, config }),
    check: said,
    tool: async (one, model) => {
      const config = { tools };
      const first = await one.models.generateContent({ model, contents, config });
      const call = called(first);
      const result = { functionResponse: { id: call.id, name: call.name, response: { output: "31 degrees" } } };
      const next = [{ role: "user", parts: [{ text: "hi" }] }, first.candidates[0].content, { role: "user", parts: [result] }];
      hasText((await one.models.generateContent({ model, contents: next, config })).text);
    },
  },
  "models.generateContent (structured)": {
    whole: (one, model, config) => {
      const asked = model === "mock" ? "echo" : model; // answers with JSON
      const structured = { responseMimeType: "application/json", responseJsonSchema: declaration.parametersJsonSchema };
      return one.models.generateContent({ model: asked, contents: '{"city":"Jakarta"}', config: { ...structured, ...config } });
    },
    check: (answer) => assert.equal(JSON.parse(answer.text).city, "Jakarta"),
  },
  "models.generateContentStream": {
    stream: (one, model, config) => one.models.generateContentStream({ model, contents, config }),
    piece: (answer) => answer.text,
    toolStream: async (one, model) => {
      const answers = [];
      for await (const answer of await one.models.generateContentStream({ model, contents, config: { tools } })) {
        answers.push(answer);
      }
      called(answers.find((answer) => answer.functionCalls));
    },
  },
  "chats.sendMessage": {
    whole: async (one, model, config) => one.chats.create({ model, config }).sendMessage({ message: contents }),
    check: said,
    tool: async (one, model) => {
      const chat = one.chats.create({ model, config: { tools } });
      const call = called(await chat.sendMessage({ message: contents }));
      const response = { output: "31 degrees" };
      const message = [{ functionResponse: { id: call.id, name: call.name, response } }];
      hasText((await chat.sendMessage({ message })).text);
    },
  },
  "chats.sendMessageStream": {
    stream: (one, model, config) => one.chats.create({ model, config }).sendMessageStream({ message: contents }),
    piece: (answer) => answer.text,
  },
  "models.countTokens": {
    free: true,
    whole: (one, model, config) => one.models.countTokens({ model, contents, config }),
    check: ({ totalTokens }) => assert.ok(totalTokens > 0),
  },
  "models.embedContent": {
    whole: (one, model, config) => one.models.embedContent({ model, contents: ["one", "two"], config }),
    check: ({ embeddings }) => {
      assert.equal(embeddings.length, 2);
      assert.ok(embeddings.every(({ values }) => values.length > 3 && values.every(Number.isFinite)));
    },
  },
  "models.list": {
    fixed: true,
    free: true,
    whole: async (one, _model, config) => {
      const names = [];
      for await (const model of await one.models.list({ config })) names.push(model.name);
      return names;
    },
    check: (names) => assert.ok(names.includes("models/tool"), names.join(" ")),
  },
  "models.get": {
    fixed: true,
    free: true,
    whole: (one, _model, config) => one.models.get({ model: "tool", config }),
    check: (model) => assert.equal(model.name, "models/tool"),
  },
};

for (const [call, spec] of Object.entries(CALLS)) suite.cover(call, spec, client);
suite.limited("models.generateContent", CALLS["models.generateContent"], client);
await suite.run();
