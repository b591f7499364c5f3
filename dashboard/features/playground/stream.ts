/** Reads a streamed response of each format: its text, its usage, and an error within the stream. */
import type { Format } from "@/features/playground/call";

/** Tokens by class; the classes do not overlap. */
export interface Usage {
  input: number;
  cached_input: number;
  cache_write: number;
  output: number;
  reasoning: number;
}

/** What one event adds. */
export interface Piece {
  text?: string;
  reasoning?: string;
  usage?: Usage;
  error?: { code: string; message: string };
  /** Whether the event is the format's regular end. */
  isEnd?: boolean;
}

interface Json {
  [name: string]: unknown;
}

const object = (value: unknown): Json => (typeof value === "object" && value !== null ? (value as Json) : {});
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.map(object) : []);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const count = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0);

/** The events of an event stream (HTML, 9.2.6), whatever the pieces in which it arrives. */
export class EventReader {
  private rest = "";

  /** Returns the data of each event that is complete. */
  push(chunk: string): string[] {
    this.rest += chunk;
    const lines = this.rest.split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    return lines.flatMap((line) => (line.startsWith("data:") ? [line.slice(5).trim()] : []));
  }

  /** Returns the data of an event without its last line end. */
  end(): string[] {
    return this.push("\n");
  }
}

/** The error of a body or an event, in the shape of any format. */
export function errorOf(body: unknown): { code: string; message: string } | undefined {
  const error = object(object(body).error);
  if (Object.keys(error).length === 0) return undefined;
  const reason = text(list(error.details).find((detail) => text(detail.reason) !== "")?.reason);
  const code = reason || text(error.code) || text(error.type) || text(error.status);
  return { code, message: text(error.message) };
}

/** Reads one event. Unknown events add nothing. */
export function pieceOf(format: Format, data: string): Piece {
  if (data === "[DONE]") return { isEnd: true };
  let event: Json;
  try {
    event = object(JSON.parse(data));
  } catch {
    return {};
  }
  const error = errorOf(event) ?? (event.type === "error" ? { code: text(event.code), message: text(event.message) } : undefined);
  if (error) return { error };
  return { chat, responses, messages, generate_content: generateContent }[format](event);
}

function chat(event: Json): Piece {
  const delta = object(list(event.choices)[0]?.delta);
  const usage = object(event.usage);
  const [input, output] = [object(usage.prompt_tokens_details), object(usage.completion_tokens_details)];
  return {
    text: text(delta.content),
    reasoning: text(delta.reasoning_content),
    ...(event.usage ? { usage: usageOf(count(usage.prompt_tokens), count(usage.completion_tokens), { cached: count(input.cached_tokens), written: count(input.cache_write_tokens), reasoning: count(output.reasoning_tokens) }) } : {}),
  };
}

function responses(event: Json): Piece {
  if (event.type === "response.output_text.delta") return { text: text(event.delta) };
  if (event.type === "response.reasoning_summary_text.delta") return { reasoning: text(event.delta) };
  if (event.type !== "response.completed" && event.type !== "response.incomplete") return {};
  const usage = object(object(event.response).usage);
  const [input, output] = [object(usage.input_tokens_details), object(usage.output_tokens_details)];
  const parts = { cached: count(input.cached_tokens), written: count(input.cache_write_tokens), reasoning: count(output.reasoning_tokens) };
  return { isEnd: true, usage: usageOf(count(usage.input_tokens), count(usage.output_tokens), parts) };
}

function messages(event: Json): Piece {
  const delta = object(event.delta);
  if (event.type === "content_block_delta") return { text: text(delta.text), reasoning: text(delta.thinking) };
  if (event.type === "message_stop") return { isEnd: true };
  const usage = event.type === "message_start" ? object(object(event.message).usage) : object(event.usage);
  if (Object.keys(usage).length === 0) return {};
  // Input that a cache had, or that was written to one, is not a part of `input_tokens`.
  const parts = { cached: count(usage.cache_read_input_tokens), written: count(usage.cache_creation_input_tokens), reasoning: count(object(usage.output_tokens_details).thinking_tokens) };
  return { usage: usageOf(count(usage.input_tokens) + parts.cached + parts.written, count(usage.output_tokens), parts) };
}

function generateContent(event: Json): Piece {
  const parts = list(object(list(event.candidates)[0]?.content).parts);
  const joined = (isThought: boolean): string => parts.filter((part) => (part.thought === true) === isThought).map((part) => text(part.text)).join("");
  const usage = object(event.usageMetadata);
  const thoughts = count(usage.thoughtsTokenCount);
  const of = { cached: count(usage.cachedContentTokenCount), written: 0, reasoning: thoughts };
  return {
    text: joined(false),
    reasoning: joined(true),
    isEnd: text(list(event.candidates)[0]?.finishReason) !== "",
    ...(event.usageMetadata ? { usage: usageOf(count(usage.promptTokenCount), count(usage.candidatesTokenCount) + thoughts, of) } : {}),
  };
}

function usageOf(input: number, output: number, of: { cached: number; written: number; reasoning: number }): Usage {
  return {
    input: Math.max(0, input - of.cached - of.written),
    cached_input: of.cached,
    cache_write: of.written,
    output: Math.max(0, output - of.reasoning),
    reasoning: of.reasoning,
  };
}

/** Joins what two events report: Anthropic reports the input first and the output last. */
export function joined(before: Usage | undefined, next: Usage): Usage {
  if (!before) return next;
  return {
    input: Math.max(before.input, next.input),
    cached_input: Math.max(before.cached_input, next.cached_input),
    cache_write: Math.max(before.cache_write, next.cache_write),
    output: Math.max(before.output, next.output),
    reasoning: Math.max(before.reasoning, next.reasoning),
  };
}
