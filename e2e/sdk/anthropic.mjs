// The official Anthropic client, as a user writes it. Environment: BASE_URL, KEY, MODEL; argument: the case.
import Anthropic from "@anthropic-ai/sdk";
import { counting, run } from "./report.mjs";

const { BASE_URL, KEY, MODEL } = process.env;
const fetcher = counting();
const client = new Anthropic({ baseURL: BASE_URL, apiKey: KEY, fetch: fetcher, timeout: 20_000 });
const model = MODEL;
const messages = [{ role: "user", content: "hi" }];
const max_tokens = 100;
const input_schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ name: "get_weather", input_schema }];

function textOf(message) {
  return message.content.filter((part) => part.type === "text").map((part) => part.text).join("");
}

const cases = {
  async messages() {
    const { data, request_id } = await client.messages.create({ model, max_tokens, messages }).withResponse();
    return { text: textOf(data), stop: data.stop_reason, usage: data.usage, request_id };
  },
  async messages_stream() {
    const stream = client.messages.stream({ model, max_tokens, messages });
    let streamed = "";
    stream.on("text", (text) => (streamed += text));
    const message = await stream.finalMessage();
    return { text: textOf(message), streamed, stop: message.stop_reason, usage: message.usage };
  },
  async beta_stream() {
    const types = new Set();
    for await (const event of await client.beta.messages.create({ model, max_tokens, messages, stream: true })) {
      types.add(event.type);
    }
    return { types: [...types] };
  },
  async tool() {
    const first = await client.messages.create({ model, max_tokens, messages, tools });
    const call = first.content.find((part) => part.type === "tool_use");
    const content = [{ type: "tool_result", tool_use_id: call.id, content: "31 degrees" }];
    const next = [...messages, { role: "assistant", content: first.content }, { role: "user", content }];
    const second = await client.messages.create({ model, max_tokens, messages: next, tools });
    return { name: call.name, args: call.input, stop: first.stop_reason, text: textOf(second) };
  },
  async tool_stream() {
    const message = await client.messages.stream({ model, max_tokens, messages, tools }).finalMessage();
    const call = message.content.find((part) => part.type === "tool_use");
    return { name: call.name, args: call.input, stop: message.stop_reason };
  },
  async count_tokens() {
    return { tokens: (await client.messages.countTokens({ model, messages })).input_tokens };
  },
  async models() {
    const ids = [];
    for await (const one of client.models.list()) ids.push(one.id);
    return { ids };
  },
  async messages_once() {
    await client.messages.create({ model, max_tokens, messages }, { maxRetries: 0 });
    return {};
  },
  async large() {
    const large = [{ role: "user", content: "x".repeat(2 * 1024 * 1024) }];
    await client.messages.create({ model, max_tokens, messages: large });
    return {};
  },
  async cancelled() {
    const stream = await client.messages.create({ model, max_tokens, messages, stream: true });
    let events = 0;
    for await (const _ of stream) {
      events += 1;
      if (events === 4) stream.controller.abort();
    }
    return { events };
  },
};

await run(cases, process.argv[2], fetcher);
