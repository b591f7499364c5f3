/** A call of an LLM endpoint: what the form contains, and the request of each format. */

export const FORMATS = ["chat", "responses", "messages", "generate_content"] as const;
export type Format = (typeof FORMATS)[number];

/** The form's values. The key is no part of them. */
export interface Call {
  model: string;
  format: Format;
  system: string;
  user: string;
  /** The maximum of output tokens; empty sets none. */
  maxTokens: string;
  temperature: string;
}

export interface WireRequest {
  path: string;
  headers: Record<string, string>;
  body: Record<string, unknown>;
}

/** The Messages API has no default for the maximum. */
const MESSAGES_TOKENS_MAX = 1024;

export function isFormat(name: string): name is Format {
  return FORMATS.some((format) => format === name);
}

/** The streamed request of a call, without the key. */
export function wireRequest(call: Call): WireRequest {
  const headers = { "Content-Type": "application/json" };
  const { model, system, user } = call;
  const most = call.maxTokens === "" ? undefined : Number(call.maxTokens);
  const temperature = call.temperature === "" ? {} : { temperature: Number(call.temperature) };
  switch (call.format) {
    case "chat": {
      const messages = [...(system === "" ? [] : [{ role: "system", content: system }]), { role: "user", content: user }];
      const limit = most === undefined ? {} : { max_completion_tokens: most };
      return { path: "/v1/chat/completions", headers, body: { model, messages, ...limit, ...temperature, stream: true, stream_options: { include_usage: true } } };
    }
    case "responses": {
      const instructions = system === "" ? {} : { instructions: system };
      const limit = most === undefined ? {} : { max_output_tokens: most };
      return { path: "/v1/responses", headers, body: { model, ...instructions, input: user, ...limit, ...temperature, stream: true, store: false } };
    }
    case "messages": {
      const body = { model, max_tokens: most ?? MESSAGES_TOKENS_MAX, ...(system === "" ? {} : { system }), messages: [{ role: "user", content: user }], ...temperature, stream: true };
      return { path: "/v1/messages", headers: { ...headers, "anthropic-version": "2023-06-01" }, body };
    }
    case "generate_content": {
      const settings = { ...(most === undefined ? {} : { maxOutputTokens: most }), ...temperature };
      const instruction = system === "" ? {} : { systemInstruction: { parts: [{ text: system }] } };
      const config = Object.keys(settings).length === 0 ? {} : { generationConfig: settings };
      const name = model.split("/").map(encodeURIComponent).join("/");
      return { path: `/v1beta/models/${name}:streamGenerateContent?alt=sse`, headers, body: { contents: [{ role: "user", parts: [{ text: user }] }], ...instruction, ...config } };
    }
  }
}
