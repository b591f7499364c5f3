import { vi } from "vitest";

export interface Answer {
  status?: number;
  body?: unknown;
  /** The body as it is, in place of JSON. */
  text?: string;
  headers?: Record<string, string>;
  /** Whether the response does not reach the page. */
  isLost?: boolean;
}

interface SeenRequest {
  line: string;
  body: unknown;
  headers: Record<string, string>;
}

/** Replaces `fetch`: answers by `METHOD /path`, one after the other, the last one for ever. Returns the requests. */
export function serve(answers: Record<string, Answer | Answer[]>): SeenRequest[] {
  const seen: SeenRequest[] = [];
  const counts = new Map<string, number>();
  vi.stubGlobal("fetch", async (url: string, init?: RequestInit) => {
    const line = `${init?.method ?? "GET"} ${url.split("?")[0]}`;
    const sent = (init?.headers ?? {}) as Record<string, string>;
    seen.push({ line: `${init?.method ?? "GET"} ${url}`, body: typeof init?.body === "string" ? JSON.parse(init.body) : undefined, headers: sent });
    const listed = answers[line];
    if (!listed) throw new TypeError("Failed to fetch");
    const list = Array.isArray(listed) ? listed : [listed];
    const count = counts.get(line) ?? 0;
    counts.set(line, count + 1);
    const { status = 200, body, text, headers = {}, isLost = false } = list[Math.min(count, list.length - 1)] ?? {};
    if (isLost) throw new TypeError("Failed to fetch");
    return new Response(status === 204 ? null : (text ?? JSON.stringify(body)), { status, headers });
  });
  return seen;
}

/** The body of an error. */
export function refusal(code: string, status: number, message = "a reason"): Answer {
  return { status, body: { error: { code, message, status } } };
}
