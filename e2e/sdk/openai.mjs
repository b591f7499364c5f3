// The official OpenAI client, as a user writes it. Environment: BASE_URL, KEY, MODEL; argument: the case.
import OpenAI from "openai";
import { counting, run } from "./report.mjs";

const { BASE_URL, KEY, MODEL } = process.env;
const fetcher = counting();
const client = new OpenAI({ baseURL: BASE_URL, apiKey: KEY, fetch: fetcher, timeout: 20_000 });
const model = MODEL;
const messages = [{ role: "user", content: "hi" }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const chatTool = { type: "function", function: { name: "get_weather", parameters } };

const cases = {
  async chat() {
    const { data, request_id } = await client.chat.completions.create({ model, messages }).withResponse();
    return { text: data.choices[0].message.content, usage: data.usage, request_id };
  },
  async chat_stream() {
    let text = "";
    let finish = null;
    let chunks = 0;
    for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
      chunks += 1;
      // No optional chaining: a chunk without choices, which nobody asked for, must not come.
      text += chunk.choices[0].delta.content ?? "";
      finish = chunk.choices[0].finish_reason ?? finish;
    }
    return { text, finish, chunks };
  },
  async chat_stream_usage() {
    let usage = null;
    const stream_options = { include_usage: true };
    for await (const chunk of await client.chat.completions.create({ model, messages, stream: true, stream_options })) {
      usage = chunk.usage ?? usage;
    }
    return { usage };
  },
  async chat_tool() {
    const first = await client.chat.completions.create({ model, messages, tools: [chatTool] });
    const call = first.choices[0].message.tool_calls[0];
    const result = { role: "tool", tool_call_id: call.id, content: "31 degrees" };
    const next = [...messages, first.choices[0].message, result];
    const second = await client.chat.completions.create({ model, messages: next, tools: [chatTool] });
    return { name: call.function.name, args: JSON.parse(call.function.arguments), text: second.choices[0].message.content };
  },
  async chat_tool_stream() {
    const stream = client.chat.completions.stream({ model, messages, tools: [chatTool] });
    const done = await stream.finalChatCompletion();
    const call = done.choices[0].message.tool_calls[0];
    return { name: call.function.name, args: JSON.parse(call.function.arguments), finish: done.choices[0].finish_reason };
  },
  async responses() {
    const answer = await client.responses.create({ model, input: "hi" });
    return { text: answer.output_text, status: answer.status, usage: answer.usage, request_id: answer._request_id };
  },
  async responses_stream() {
    let text = "";
    const types = new Set();
    let usage = null;
    for await (const event of await client.responses.create({ model, input: "hi", stream: true })) {
      types.add(event.type);
      if (event.type === "response.output_text.delta") text += event.delta;
      if (event.type === "response.completed") usage = event.response.usage;
    }
    return { text, types: [...types], usage };
  },
  async responses_tool() {
    const tools = [{ type: "function", name: "get_weather", parameters, strict: false }];
    const first = await client.responses.create({ model, input: "hi", tools });
    const call = first.output.find((item) => item.type === "function_call");
    const result = { type: "function_call_output", call_id: call.call_id, output: "31 degrees" };
    const input = [{ role: "user", content: "hi" }, ...first.output, result];
    const second = await client.responses.create({ model, input, tools });
    return { name: call.name, args: JSON.parse(call.arguments), text: second.output_text };
  },
  async models() {
    const ids = [];
    for await (const one of client.models.list()) ids.push(one.id);
    return { ids };
  },
  async chat_once() {
    await client.chat.completions.create({ model, messages }, { maxRetries: 0 });
    return {};
  },
  async large() {
    const large = [{ role: "user", content: "x".repeat(2 * 1024 * 1024) }];
    await client.chat.completions.create({ model, messages: large });
    return {};
  },
  async cancelled() {
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    let chunks = 0;
    for await (const _ of stream) {
      chunks += 1;
      if (chunks === 3) stream.controller.abort();
    }
    return { chunks };
  },
};

await run(cases, process.argv[2], fetcher);
