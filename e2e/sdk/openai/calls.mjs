// Every call that OpenAI's client has for what the gateway serves; `Suite.cover` says what of each is run.
import { assert, hasId, hasText, thrown } from "../suite.mjs";

const messages = [{ role: "user", content: "hi" }];
const structured = [{ role: "user", content: '{"city":"Jakarta"}' }];
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const schema = { name: "place", strict: true, schema: parameters };
const chatTools = [{ type: "function", function: { name: "get_weather", parameters } }];
const responseTools = [{ type: "function", name: "get_weather", parameters, strict: false }];

function called(name, args) {
  assert.equal(name, "get_weather");
  assert.deepEqual(JSON.parse(args), { city: "Jakarta" });
}

async function runTools(client, model, options) {
  const cities = [];
  const get = ({ city }) => `${cities.push(city)} degrees`;
  const tool = { type: "function", function: { name: "get_weather", parameters, parse: JSON.parse, function: get } };
  const runner = client.chat.completions.runTools({ model, messages, tools: [tool] }, options);
  return { text: await runner.finalContent(), cities };
}

/** A second of silence: what a transcription is made of. */
function sound() {
  const rate = 8000;
  const data = Buffer.alloc(44 + 2 * rate);
  data.write("RIFF", 0);
  data.writeUInt32LE(36 + 2 * rate, 4);
  data.write("WAVEfmt ", 8);
  data.writeUInt32LE(16, 16);
  data.writeUInt16LE(1, 20);
  data.writeUInt16LE(1, 22);
  data.writeUInt32LE(rate, 24);
  data.writeUInt32LE(2 * rate, 28);
  data.writeUInt16LE(2, 32);
  data.writeUInt16LE(16, 34);
  data.write("data", 36);
  data.writeUInt32LE(2 * rate, 40);
  return data;
}

// A pixel.
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

const file = (library, bytes, name, type) => library.toFile(bytes, name, { type });
const usageOf = (usage) => assert.ok(usage?.total_tokens > 0, `no usage: ${JSON.stringify(usage)}`);

const drawn = ({ data }) => assert.ok(data[0].b64_json?.length > 20 || data[0].url, JSON.stringify(data));

export const CALLS = (library) => ({
  "chat.completions.create": {
    whole: async (client, model, options) => {
      const { data, request_id } = await client.chat.completions.create({ model, messages }, options).withResponse();
      hasId(request_id);
      return data;
    },
    check: (data) => {
      hasText(data.choices[0].message.content);
      usageOf(data.usage);
    },
    stream: (client, model, options) => client.chat.completions.create({ model, messages, stream: true }, options),
    // No optional chaining: a chunk without choices, which nobody asked for, must not come.
    piece: (chunk) => chunk.choices[0].delta.content,
    tool: async (client, model) => {
      const first = await client.chat.completions.create({ model, messages, tools: chatTools });
      const [call] = first.choices[0].message.tool_calls;
      called(call.function.name, call.function.arguments);
      const result = { role: "tool", tool_call_id: call.id, content: "31 degrees" };
      const next = [...messages, first.choices[0].message, result];
      const second = await client.chat.completions.create({ model, messages: next, tools: chatTools });
      hasText(second.choices[0].message.content);
    },
  },
  "chat.completions.stream": {
    stream: async (client, model, options) => client.chat.completions.stream({ model, messages }, options),
    piece: (chunk) => chunk.choices[0].delta.content,
    toolStream: async (client, model) => {
      const stream = client.chat.completions.stream({ model, messages, tools: chatTools });
      const done = await stream.finalChatCompletion();
      const [call] = done.choices[0].message.tool_calls;
      called(call.function.name, call.function.arguments);
    },
  },
  "chat.completions.parse": {
    whole: (client, model, options) => {
      const response_format = { type: "json_schema", json_schema: schema };
      const asked = model === "mock" ? "echo" : model; // says JSON
      return client.chat.completions.parse({ model: asked, messages: structured, response_format }, options);
    },
    check: (data) => assert.equal(JSON.parse(data.choices[0].message.content).city, "Jakarta"),
  },
  "chat.completions.runTools": {
    whole: async (client, model, options) => (await runTools(client, model, options)).text,
    check: hasText,
    // The client itself calls the function and goes on.
    tool: async (client, model) => {
      const { text, cities } = await runTools(client, model);
      hasText(text);
      assert.deepEqual(cities, ["Jakarta"]);
    },
  },
  "completions.create": {
    whole: (client, model, options) => client.completions.create({ model, prompt: "hi" }, options),
    check: (data) => {
      hasText(data.choices[0].text);
      usageOf(data.usage);
    },
    stream: (client, model, options) => client.completions.create({ model, prompt: "hi", stream: true }, options),
    piece: (chunk) => chunk.choices[0].text,
  },
  "responses.create": {
    whole: (client, model, options) => client.responses.create({ model, input: "hi" }, options),
    check: (data) => {
      hasText(data.output_text);
      usageOf(data.usage);
      hasId(data._request_id);
    },
    stream: (client, model, options) => client.responses.create({ model, input: "hi", stream: true }, options),
    piece: (event) => (event.type === "response.output_text.delta" ? event.delta : ""),
    tool: async (client, model) => {
      const first = await client.responses.create({ model, input: "hi", tools: responseTools });
      const call = first.output.find((item) => item.type === "function_call");
      called(call.name, call.arguments);
      const result = { type: "function_call_output", call_id: call.call_id, output: "31 degrees" };
      const input = [{ role: "user", content: "hi" }, ...first.output, result];
      hasText((await client.responses.create({ model, input, tools: responseTools })).output_text);
    },
  },
  "responses.stream": {
    stream: async (client, model, options) => client.responses.stream({ model, input: "hi" }, options),
    piece: (event) => (event.type === "response.output_text.delta" ? event.delta : ""),
    toolStream: async (client, model) => {
      const done = await client.responses.stream({ model, input: "hi", tools: responseTools }).finalResponse();
      const call = done.output.find((item) => item.type === "function_call");
      called(call.name, call.arguments);
    },
  },
  "responses.parse": {
    whole: (client, model, options) => {
      const asked = model === "mock" ? "echo" : model; // says JSON
      const text = { format: { type: "json_schema", ...schema } };
      return client.responses.parse({ model: asked, input: '{"city":"Jakarta"}', text }, options);
    },
    check: (data) => assert.equal(data.output_parsed.city, "Jakarta"),
  },
  "embeddings.create": {
    // Without an encoding_format this client asks for base64 and decodes it.
    whole: (client, model, options) => client.embeddings.create({ model, input: ["one", "two"] }, options),
    check: (data) => {
      assert.equal(data.data.length, 2);
      assert.ok(data.data.every(({ embedding }) => embedding.length > 3 && embedding.every(Number.isFinite)));
      usageOf(data.usage);
    },
  },
  "embeddings.create (float)": {
    whole: (client, model, options) =>
      client.embeddings.create({ model, input: "one", encoding_format: "float" }, options),
    check: (data) => assert.ok(data.data[0].embedding.length > 3 && data.data[0].embedding.every(Number.isFinite)),
  },
  "images.generate": {
    whole: (client, model, options) => client.images.generate({ model, prompt: "a tree" }, options),
    check: drawn,
    stream: (client, model, options) =>
      client.images.generate({ model, prompt: "a tree", stream: true, partial_images: 2 }, options),
    piece: (event) => event.b64_json,
    brief: true,
  },
  "images.edit": {
    whole: async (client, model, options) => {
      const image = await file(library, PNG, "pixel.png", "image/png");
      return client.images.edit({ model, image, prompt: "a tree" }, options);
    },
    check: drawn,
    stream: async (client, model, options) => {
      const image = await file(library, PNG, "pixel.png", "image/png");
      return client.images.edit({ model, image, prompt: "a tree", stream: true, partial_images: 2 }, options);
    },
    piece: (event) => event.b64_json,
    brief: true,
  },
  "audio.speech.create": {
    whole: async (client, model, options) => {
      const answer = await client.audio.speech.create({ model, voice: "alloy", input: "hi" }, options);
      return Buffer.from(await answer.arrayBuffer());
    },
    check: (bytes) => assert.ok(bytes.length > 20, `${bytes.length} bytes`),
    binary: true,
    note: "Audio bytes have no error event, so the client reports an aborted stream as a connection error.",
    stream: async (client, model, options) =>
      (await client.audio.speech.create({ model, voice: "alloy", input: "hi" }, options)).body,
    piece: (bytes) => "x".repeat(bytes.length),
  },
  "audio.transcriptions.create": {
    whole: async (client, model, options) => {
      const spoken = await file(library, sound(), "speech.wav", "audio/wav");
      return client.audio.transcriptions.create({ model, file: spoken }, options);
    },
    check: (data) => hasText(data.text),
    stream: async (client, model, options) => {
      const spoken = await file(library, sound(), "speech.wav", "audio/wav");
      return client.audio.transcriptions.create({ model, file: spoken, stream: true }, options);
    },
    piece: (event) => (event.type === "transcript.text.delta" ? event.delta : ""),
  },
  "audio.translations.create": {
    whole: async (client, model, options) => {
      const spoken = await file(library, sound(), "speech.wav", "audio/wav");
      return client.audio.translations.create({ model, file: spoken }, options);
    },
    check: (data) => hasText(data.text),
  },
  "moderations.create": {
    whole: (client, model, options) => client.moderations.create({ model, input: "hi" }, options),
    check: (data) => assert.equal(typeof data.results[0].flagged, "boolean"),
  },
  "models.list": {
    fixed: true,
    free: true,
    whole: async (client, _model, options) => {
      const ids = [];
      for await (const one of client.models.list(options)) ids.push(one.id);
      return ids;
    },
    check: (ids) => assert.ok(ids.includes("tool"), ids.join(" ")),
  },
  "models.retrieve": {
    fixed: true,
    free: true,
    whole: (client, _model, options) => client.models.retrieve("tool", options),
    check: (model) => assert.equal(model.id, "tool"),
  },
});

/** A body over the limit is refused before it is read, and the client must learn it nevertheless. */
export async function large(client, library) {
  const content = "x".repeat(2 * 1024 * 1024);
  const error = await thrown(client.chat.completions.create({ model: "mock", messages: [{ role: "user", content }] }));
  assert.ok(error instanceof library.APIError && error.status === 413, `${error.constructor.name} ${error.message}`);
  assert.match(error.message, /larger than/);
}
