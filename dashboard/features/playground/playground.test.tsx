import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { type Call, FORMATS, wireRequest } from "@/features/playground/call";
import { snippetsOf } from "@/features/playground/code";
import { PlaygroundPage } from "@/features/playground/playground-page";
import { wordsOf } from "@/features/playground/problem";
import { EventReader, errorOf, joined, pieceOf } from "@/features/playground/stream";
import { en } from "@/messages/en";
import { visit } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";

beforeEach(() => visit("/dashboard/playground"));

const KEY = "acme_0123456789abcdef0123456789abcdef";
const call: Call = { model: "mock/echo", format: "chat", system: "", user: "it's \"so\"", maxTokens: "", temperature: "" };

describe("wireRequest", () => {
  it("leaves out what is not set", () => {
    expect(wireRequest(call).body).toEqual({ model: "mock/echo", messages: [{ role: "user", content: call.user }], stream: true, stream_options: { include_usage: true } });
    expect(wireRequest({ ...call, format: "messages" }).body).toMatchObject({ max_tokens: 1024 });
    expect(wireRequest({ ...call, format: "generate_content" })).toMatchObject({ path: "/v1beta/models/mock/echo:streamGenerateContent?alt=sse", body: { contents: [{ role: "user" }] } });
  });

  it("writes the limits of each format", () => {
    const limited = (format: Call["format"]) => wireRequest({ ...call, format, maxTokens: "7", temperature: "0.5", system: "s" }).body;
    expect(limited("chat")).toMatchObject({ max_completion_tokens: 7, temperature: 0.5, messages: [{ role: "system", content: "s" }, {}] });
    expect(limited("responses")).toMatchObject({ max_output_tokens: 7, instructions: "s", input: call.user });
    expect(limited("messages")).toMatchObject({ max_tokens: 7, system: "s" });
    expect(limited("generate_content")).toMatchObject({ generationConfig: { maxOutputTokens: 7, temperature: 0.5 }, systemInstruction: { parts: [{ text: "s" }] } });
  });
});

describe("EventReader", () => {
  it("finds the same events however the bytes are cut", () => {
    const stream = 'event: a\r\ndata: {"n":1}\r\n\r\n: comment\ndata:{"n":2}\n\ndata: [DONE]';
    for (let cut = 0; cut <= stream.length; cut += 1) {
      const reader = new EventReader();
      const events = [...reader.push(stream.slice(0, cut)), ...reader.push(stream.slice(cut)), ...reader.end()];
      expect(events, String(cut)).toEqual(['{"n":1}', '{"n":2}', "[DONE]"]);
    }
  });
});

describe("pieceOf", () => {
  it("reads text and usage of each format, in classes that do not overlap", () => {
    const usage = { input: 10, cached_input: 5, cache_write: 0, output: 4, reasoning: 2 };
    const chat = { choices: [], usage: { prompt_tokens: 15, completion_tokens: 6, prompt_tokens_details: { cached_tokens: 5 }, completion_tokens_details: { reasoning_tokens: 2 } } };
    expect(pieceOf("chat", JSON.stringify(chat)).usage).toEqual(usage);
    const responses = { type: "response.completed", response: { usage: { input_tokens: 15, output_tokens: 6, input_tokens_details: { cached_tokens: 5 }, output_tokens_details: { reasoning_tokens: 2 } } } };
    expect(pieceOf("responses", JSON.stringify(responses))).toEqual({ isEnd: true, usage });
    const google = { candidates: [{ content: { parts: [{ text: "b", thought: true }, { text: "a" }] }, finishReason: "STOP" }], usageMetadata: { promptTokenCount: 15, cachedContentTokenCount: 5, candidatesTokenCount: 4, thoughtsTokenCount: 2 } };
    expect(pieceOf("generate_content", JSON.stringify(google))).toEqual({ text: "a", reasoning: "b", isEnd: true, usage });
    const start = pieceOf("messages", JSON.stringify({ type: "message_start", message: { usage: { input_tokens: 10, cache_read_input_tokens: 5, output_tokens: 1 } } })).usage;
    const end = pieceOf("messages", JSON.stringify({ type: "message_delta", delta: {}, usage: { output_tokens: 4 } })).usage;
    expect(start && end && joined(start, end)).toEqual({ ...usage, reasoning: 0 });
    expect(pieceOf("messages", JSON.stringify({ type: "content_block_delta", delta: { text: "a" } })).text).toBe("a");
    expect(pieceOf("chat", JSON.stringify({ choices: [{ delta: { content: "a" } }] })).text).toBe("a");
    expect(pieceOf("responses", JSON.stringify({ type: "response.output_text.delta", delta: "a" })).text).toBe("a");
  });

  it("ignores what it does not know", () => {
    for (const format of FORMATS) {
      for (const data of ["", "null", "5", "{", '{"type":"new.event"}', '{"choices":null}']) expect(pieceOf(format, data).error).toBeUndefined();
    }
  });
});

describe("errors", () => {
  it("are found in the shape of each API", () => {
    expect(errorOf({ error: { code: "key_unknown", message: "m", status: 401 } })).toEqual({ code: "key_unknown", message: "m" });
    expect(errorOf({ type: "error", error: { type: "rate_limit_error", message: "m", code: "rate_limited" } })?.code).toBe("rate_limited");
    expect(errorOf({ error: { code: 429, message: "m", status: "RESOURCE_EXHAUSTED", details: [{ reason: "quota_exceeded" }] } })?.code).toBe("quota_exceeded");
    expect(errorOf("<html>")).toBeUndefined();
  });

  it("keep the reason of the response, whatever its code is", () => {
    const words = (code: string, message: string) => wordsOf({ code, status: 429, message, retryAfter: undefined }, en);
    const reason = "Budget of key laptop: $2.00 of $2.00 are used; it is full again at 2026-12-01T00:00:00Z.";
    for (const code of ["insufficient_quota", "budget_exceeded", "invalid_prompt", "of_a_newer_version"]) {
      expect(words(code, reason)).toEqual({ title: "The call failed with status 429", text: reason });
    }
    expect(words("", "").text).toBe("The response has no reason.");
    expect(wordsOf({ code: "rate_limited", status: 429, message: "10 of 10 requests per minute are used.", retryAfter: 2.2 }, en).text).toBe("10 of 10 requests per minute are used. Try again in 3 s.");
  });

  it("have words of the page where no response arrived", () => {
    expect(wordsOf({ code: "cut", status: 200, message: "", retryAfter: undefined }, en).title).toBe("The response ended early");
  });
});

describe("snippetsOf", () => {
  it("quotes the message and contains no key", () => {
    const place = { base: "https://llm.example.com", variable: "ACME_KEY" };
    const [curl, openAi] = snippetsOf(call, place);
    expect(curl?.text).toContain(`-d '{"model":"mock/echo","messages":[{"role":"user","content":"it'\\''s \\"so\\""}]`);
    expect(curl?.text).toContain('-H "Authorization: Bearer $ACME_KEY"');
    expect(openAi?.text).toContain('base_url="https://llm.example.com/v1"');
    expect(openAi?.text).not.toContain("true");
    expect(snippetsOf({ ...call, format: "messages" }, place).map(({ client }) => client)).toEqual(["curl", "anthropic"]);
  });
});

describe("PlaygroundPage", () => {
  const model = { name: "mock", aliases: [], listed: true, provider: "mock", provider_model: "mock", formats: ["chat", "messages"], credits: 1, credential: "not_needed", price: null, limits: null };
  const sent: { url: string; headers: Record<string, string>; body: unknown }[] = [];
  let respond: (url: string) => Response | Promise<Response>;

  beforeEach(() => {
    sent.length = 0;
    vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined, removeEventListener: () => undefined }));
    vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
      if (url.startsWith("https://llm.example.com")) {
        sent.push({ url, headers: init.headers as Record<string, string>, body: JSON.parse(String(init.body)) });
        return respond(url);
      }
      if (url.startsWith("/api/site")) return Response.json({ ...SITE, llm: { base_url: "https://llm.example.com", key_variable: "ACME_KEY", page_origin: location.origin } });
      if (url === "/api/me") return Response.json({ user: { id: "u", name: "Ada", email: "a@example.com", plan: "starter", role: "member" }, acts_as: "member", roles: [] });
      if (url.startsWith("/api/models")) return Response.json({ items: [model], next: null });
      if (url.startsWith("/api/usage/requests/")) return Response.json({ error: { code: "not_found", message: "none", status: 404 } }, { status: 404 });
      return Response.json({ error: { code: "internal", message: "x", status: 500 } }, { status: 500 });
    });
  });

  async function fill() {
    await userEvent.click(await screen.findByLabelText("Key"));
    await userEvent.paste(KEY);
    await userEvent.click(screen.getByLabelText("Message"));
    await userEvent.paste("Hello");
  }

  it("names what is missing before it sends anything", async () => {
    show(<PlaygroundPage />);
    await userEvent.click(await screen.findByRole("button", { name: "Send message" }));
    expect(screen.getByText("Paste a key, or create one for this page")).toBeVisible();
    await userEvent.type(screen.getByLabelText("Key"), "sk-other");
    expect(screen.getByText("A key begins with acme_ and has no spaces")).toBeVisible();
    expect(sent).toEqual([]);
  });

  it("streams a response and sends the key in one header only", async () => {
    respond = () => new Response('data: {"choices":[{"delta":{"content":"Good "}}]}\n\ndata: {"choices":[{"delta":{"content":"day"}}]}\n\ndata: [DONE]\n\n', { headers: { "X-Request-Id": "r1" } });
    const { container } = show(<PlaygroundPage />);
    await fill();
    await userEvent.click(screen.getByRole("button", { name: "Send message" }));
    expect(await screen.findByText("Good day")).toBeVisible();
    expect(await screen.findByText("Completed")).toBeVisible();
    expect(sent[0]).toMatchObject({ url: "https://llm.example.com/v1/chat/completions", headers: { Authorization: `Bearer ${KEY}` } });
    expect(JSON.stringify(sent[0]?.body)).not.toContain(KEY);
    expect(container.innerHTML.replace(`value="${KEY}"`, "")).not.toContain(KEY);
    expect(JSON.stringify(localStorage) + location.href).not.toContain(KEY);
  });

  it("explains a refusal, and keeps what was typed", async () => {
    respond = () => Response.json({ error: { message: "this key expired", type: "x", code: "key_expired" } }, { status: 401, headers: { "X-Request-Id": "r2" } });
    show(<PlaygroundPage />);
    await fill();
    await userEvent.keyboard("{Control>}{Enter}{/Control}");
    expect(await screen.findByText("this key expired")).toBeVisible();
    expect(screen.getByText("Code key_expired")).toBeVisible();
    expect(screen.getByLabelText("Message")).toHaveValue("Hello");
    expect(screen.getByLabelText("Key")).toHaveValue(KEY);
  });

  it("tells a lost network from a stream that ends early", async () => {
    respond = () => Promise.reject(new TypeError("Failed to fetch"));
    show(<PlaygroundPage />);
    await fill();
    await userEvent.click(screen.getByRole("button", { name: "Send message" }));
    expect(await screen.findByText("The gateway does not respond")).toBeVisible();
    respond = () => new Response('data: {"choices":[{"delta":{"content":"Go"}}]}\n\n');
    await userEvent.click(screen.getByRole("button", { name: "Send message" }));
    expect(await screen.findByText("The response ended early")).toBeVisible();
    expect(screen.getByText("Go")).toBeVisible();
  });

  it("is stopped by the reader", async () => {
    vi.stubGlobal("fetch", ((real) => (url: string, init: RequestInit) => {
      if (!url.startsWith("https://llm")) return real(url, init);
      const stream = new ReadableStream({
        start: (controller) => {
          controller.enqueue(new TextEncoder().encode('data: {"choices":[{"delta":{"content":"Go"}}]}\n\n'));
          init.signal?.addEventListener("abort", () => controller.error(new DOMException("aborted", "AbortError")));
        },
      });
      return Promise.resolve(new Response(stream));
    })(globalThis.fetch as (url: string, init: RequestInit) => Promise<Response>));
    show(<PlaygroundPage />);
    await fill();
    await userEvent.click(screen.getByRole("button", { name: "Send message" }));
    await userEvent.click(await screen.findByRole("button", { name: "Stop" }));
    await waitFor(() => expect(screen.getByText("Stopped")).toBeVisible());
    expect(screen.getByText("Go")).toBeVisible();
  });
});
