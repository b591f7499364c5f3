/**
 * The only place that sends requests to the server of these pages; `lib/gateway.ts` calls the proxy. Types come from the
 * OpenAPI document, so a field that changes in the server fails the build.
 */
import type { components, paths } from "@/generated/openapi";
import { noteServerTime } from "@/lib/server-clock";

export type Schemas = components["schemas"];

type Method = "get" | "post" | "patch" | "put" | "delete";
type PathsOf<M extends Method> = {
  [P in keyof paths]: paths[P][M] extends undefined ? never : P;
}[keyof paths];
type Operation<P extends keyof paths, M extends Method> = NonNullable<paths[P][M]>;
type JsonOf<T> = T extends { content: { "application/json": infer J } } ? J : undefined;
type Success<O> = O extends { responses: infer R }
  ? R extends { 200: infer T } ? JsonOf<T> : R extends { 201: infer T } ? JsonOf<T> : undefined
  : never;
type BodyOf<O> = O extends { requestBody?: infer B } ? JsonOf<NonNullable<B>> : never;
type QueryOf<O> = O extends { parameters: { query?: infer Q } } ? NonNullable<Q> : never;
type PathOf<O> = O extends { parameters: { path: infer Q } } ? Q : never;

interface Options<O> {
  body?: BodyOf<O>;
  query?: QueryOf<O>;
  path?: PathOf<O>;
  signal?: AbortSignal;
  /** Further header fields, such as `If-Match`. */
  headers?: Record<string, string>;
}

/** Milliseconds after which a request without a response counts as failed. The server's own limit is 30 s. */
const PATIENCE_MS = 32_000;
const BASE = process.env.NEXT_PUBLIC_API_URL ?? "";

/** A request that failed: refused by the server, or without a usable response (`code` is `offline`, `late` or `unreadable`). */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  /** Seconds until a retry may succeed. */
  readonly retryAfter: number | undefined;
  readonly requestId: string | undefined;
  /** The problems of a refused configuration. */
  readonly problems: readonly unknown[] | undefined;

  constructor(of: { status: number; code: string; message: string; retryAfter?: number | undefined; requestId?: string | undefined; problems?: readonly unknown[] | undefined }) {
    super(of.message);
    this.name = "ApiError";
    this.status = of.status;
    this.code = of.code;
    this.retryAfter = of.retryAfter;
    this.requestId = of.requestId;
    this.problems = of.problems;
  }

  /** Whether the credential is missing or no longer accepted. */
  get isSignedOut(): boolean {
    return this.status === 401;
  }
}

/** The address of a path of the API, for links and streams. */
export function apiAddress(path: `/api/${string}`): string {
  return BASE + path;
}

let isSessionOver = false;

/** While the session is over, requests that need one fail without being sent: pages below the sign-in continue to poll. */
export function setSessionOver(isOver: boolean): void {
  isSessionOver = isOver;
}

/** Sends a request. An expired session is renewed once; then the request is sent again. */
export async function api<M extends Method, P extends PathsOf<M>>(
  method: M,
  path: P,
  options: Options<Operation<P, M>> = {},
): Promise<Success<Operation<P, M>>> {
  const text = await renewing(String(path), () => send(method, address(String(path), options), options));
  return json(text) as Success<Operation<P, M>>;
}

/** Reads a response that is a text, such as a table. */
export async function apiText<P extends PathsOf<"get">>(path: P, options: Options<Operation<P, "get">> = {}): Promise<string> {
  return (await renewing(String(path), () => send("get", address(String(path), options), options))).text;
}

/** Reads a response that is a file. */
export async function apiFile<P extends PathsOf<"post">>(path: P, options: Options<Operation<P, "post">> = {}): Promise<Blob> {
  return renewing(String(path), async () => {
    const { response, body } = await exchange<Blob | string>("post", address(String(path), options), options, (received) => (received.ok ? received.blob() : received.text()), true);
    if (typeof body === "string") throw refusal(response, body);
    return body;
  });
}

async function renewing<T>(path: string, request: () => Promise<T>): Promise<T> {
  // The user is read to notice that another tab signed in.
  const needsSession = !path.startsWith("/api/auth/") && path !== "/api/site" && path !== "/api/me";
  if (isSessionOver && needsSession) throw new ApiError({ status: 401, code: "unauthorized", message: "The session has ended." });
  try {
    return await request();
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "token_expired" || path.startsWith("/api/auth/")) throw error;
    await renew();
    return request();
  }
}

/** The body of a successful response. */
interface Received {
  response: Response;
  text: string;
}

function address(path: string, options: { path?: unknown; query?: unknown }): string {
  const parts = (options.path ?? {}) as Record<string, unknown>;
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(parts[name])));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries((options.query ?? {}) as Record<string, unknown>)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return BASE + filled + (text === "" ? "" : `?${text}`);
}

interface Sent {
  body?: unknown;
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

async function send(method: Method, url: string, options: Sent): Promise<Received> {
  const { response, body: text } = await exchange(method, url, options, (received) => received.text());
  if (response.ok) return { response, text };
  throw refusal(response, text);
}

/** Sends a request, and reads the body of the response. The time of a file ends with the head: its body may be large. */
async function exchange<T>(method: Method, url: string, options: Sent, read: (response: Response) => Promise<T>, isFile = false): Promise<{ response: Response; body: T }> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), PATIENCE_MS);
  const deadline = late.signal;
  const init: RequestInit = {
    method: method.toUpperCase(),
    credentials: BASE === "" ? "same-origin" : "include",
    headers: { ...(options.body !== undefined && { "Content-Type": "application/json" }), ...options.headers },
    signal: options.signal ? AbortSignal.any([options.signal, deadline]) : deadline,
  };
  if (options.body !== undefined) init.body = JSON.stringify(options.body);
  try {
    const response = await fetch(url, init);
    if (isFile) clearTimeout(timer);
    const body = await read(response);
    noteServerTime(response.headers.get("Date"));
    return { response, body };
  } catch (error) {
    if (options.signal?.aborted) throw error;
    if (deadline.aborted) throw new ApiError({ status: 0, code: "late", message: "No response within 30 s." });
    throw new ApiError({ status: 0, code: "offline", message: "The server does not respond." });
  } finally {
    clearTimeout(timer);
  }
}

function json({ response, text }: Received): unknown {
  if (text === "") return undefined;
  const value = parsed(text);
  if (value !== undefined) return value;
  throw new ApiError({ status: response.status, code: "unreadable", message: "The response is no JSON.", requestId: idOf(response) });
}

function idOf(response: Response): string | undefined {
  return response.headers.get("X-Request-Id") ?? undefined;
}

function refusal(response: Response, text: string): ApiError {
  const { status } = response;
  const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const retryAfter = Number.isFinite(seconds) ? seconds : undefined;
  const told = (parsed(text) as Partial<Schemas["Error"]> | undefined)?.error;
  const listed = (told as { problems?: unknown } | undefined)?.problems;
  const [code, message] = told ? [told.code, told.message] : ["unreadable", `The server responded ${status} without a reason.`];
  return new ApiError({ status, code, message, retryAfter, requestId: idOf(response), problems: Array.isArray(listed) ? listed : undefined });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

let renewal: Promise<unknown> | undefined;

/** Renews the session once for all requests of this tab; a lock keeps other tabs from using the same refresh token. */
function renew(): Promise<unknown> {
  renewal ??= locked(() => send("post", `${BASE}/api/auth/refresh`, {})).finally(() => {
    renewal = undefined;
  });
  return renewal;
}

function locked(work: () => Promise<unknown>): Promise<unknown> {
  return "locks" in navigator ? navigator.locks.request("session", work) : work();
}
