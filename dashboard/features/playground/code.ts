/** The call as code. The key is read from the environment, so that copied code contains none. */
import { type Call, wireRequest } from "@/features/playground/call";

export interface Snippet {
  client: "curl" | "openai" | "anthropic";
  label: string;
  text: string;
}

interface Place {
  base: string;
  /** The environment variable with the key. */
  variable: string;
}

/** The call for a shell, and for the SDK of its format. */
export function snippetsOf(call: Call, place: Place): Snippet[] {
  const curl: Snippet = { client: "curl", label: "curl", text: curlOf(call, place) };
  if (call.format === "messages") return [curl, { client: "anthropic", label: "Anthropic SDK", text: anthropicOf(call, place) }];
  if (call.format === "generate_content") return [curl];
  return [curl, { client: "openai", label: "OpenAI SDK", text: openAiOf(call, place) }];
}

function curlOf(call: Call, { base, variable }: Place): string {
  const { path, headers, body } = wireRequest(call);
  const fields = Object.entries(headers).map(([name, value]) => `  -H '${name}: ${value}' \\\n`);
  return `curl -N '${base}${path}' \\\n  -H "Authorization: Bearer $${variable}" \\\n${fields.join("")}  -d ${quoted(JSON.stringify(body))}`;
}

/** One word of a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function openAiOf(call: Call, { base, variable }: Place): string {
  const body = without(wireRequest(call).body, ["stream", "stream_options"]);
  const head = `import os\nfrom openai import OpenAI\n\nclient = OpenAI(base_url=${JSON.stringify(`${base}/v1`)}, api_key=os.environ["${variable}"])\n`;
  if (call.format === "responses") {
    return `${head}with client.responses.stream(\n${argumentsOf(body)}) as stream:\n    for event in stream:\n        if event.type == "response.output_text.delta":\n            print(event.delta, end="", flush=True)`;
  }
  return `${head}stream = client.chat.completions.create(\n${argumentsOf(body)}    stream=True,\n)\nfor chunk in stream:\n    if chunk.choices:\n        print(chunk.choices[0].delta.content or "", end="", flush=True)`;
}

function anthropicOf(call: Call, { base, variable }: Place): string {
  const body = without(wireRequest(call).body, ["stream"]);
  const head = `import os\nfrom anthropic import Anthropic\n\nclient = Anthropic(base_url=${JSON.stringify(base)}, auth_token=os.environ["${variable}"])\n`;
  return `${head}with client.messages.stream(\n${argumentsOf(body)}) as stream:\n    for text in stream.text_stream:\n        print(text, end="", flush=True)`;
}

function without(body: Record<string, unknown>, names: string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(body).filter(([name]) => !names.includes(name)));
}

function argumentsOf(body: Record<string, unknown>): string {
  return Object.entries(body).map(([name, value]) => `    ${name}=${python(value)},\n`).join("");
}

/** A literal of Python. JSON's strings and numbers are Python's too. */
function python(value: unknown): string {
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    return `{${Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${python(item)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}
