"use client";

import { useEffect, useRef, useState } from "react";

import { type Call, wireRequest } from "@/features/playground/call";
import { EventReader, type Piece, type Usage, errorOf, joined, pieceOf } from "@/features/playground/stream";
import { callGateway } from "@/lib/gateway";

/** The oldest events are dropped, so that a long response does not fill the memory. */
const EVENTS_MAX = 200;
const EVENT_TEXT_MAX = 400;

export interface RunEvent {
  number: number;
  atMs: number;
  data: string;
}

/** Why a call has no response, or not a whole one. It never contains the key. */
export interface RunProblem {
  /** `network` has no response at all; `cut` ended early; any other code is the response's. */
  code: string;
  message: string;
  status: number;
  retryAfter: number | undefined;
}

export interface Run {
  state: "idle" | "waiting" | "streaming" | "done" | "stopped" | "failed";
  call?: Call;
  text: string;
  reasoning: string;
  usage?: Usage;
  problem?: RunProblem;
  requestId?: string;
  startedAt: number;
  firstTextMs?: number;
  totalMs?: number;
  events: RunEvent[];
}

const IDLE: Run = { state: "idle", text: "", reasoning: "", startedAt: 0, events: [] };

interface Runner {
  run: Run;
  send(call: Call, key: string, base: string): void;
  stop(): void;
  clear(): void;
}

/** Sends one call at a time and reads its stream. Leaving the page ends the call. */
export function useRun(): Runner {
  const [run, setRun] = useState<Run>(IDLE);
  const abort = useRef<AbortController>(undefined);
  useEffect(() => () => abort.current?.abort(), []);
  const send = (call: Call, key: string, base: string): void => {
    abort.current?.abort();
    const controller = new AbortController();
    abort.current = controller;
    const startedAt = performance.now();
    setRun({ ...IDLE, state: "waiting", call, startedAt });
    // A later call replaces this one; it then changes nothing.
    const change = (next: (before: Run) => Run): void => {
      if (abort.current === controller) setRun(next);
    };
    const { path, headers, body } = wireRequest(call);
    void callGateway({ url: base + path, key, headers, body, signal: controller.signal })
      .then((response) => receive(response, { call, startedAt, change }))
      .catch(() => change((before) => failed(before, controller.signal.aborted ? undefined : { code: before.state === "waiting" ? "network" : "cut", message: "", status: 0, retryAfter: undefined })));
  };
  return {
    run,
    send,
    stop: () => abort.current?.abort(),
    clear: () => {
      abort.current?.abort();
      abort.current = undefined;
      setRun(IDLE);
    },
  };
}

/** Ends a run without a problem as stopped by the reader. */
function failed(before: Run, problem: RunProblem | undefined): Run {
  const totalMs = performance.now() - before.startedAt;
  return problem ? { ...before, state: "failed", problem, totalMs } : { ...before, state: "stopped", totalMs };
}

interface Receiver {
  call: Call;
  startedAt: number;
  change(next: (before: Run) => Run): void;
}

async function receive(response: Response, { call, startedAt, change }: Receiver): Promise<void> {
  const requestId = response.headers.get("X-Request-Id") ?? undefined;
  change((before) => ({ ...before, ...(requestId ? { requestId } : {}) }));
  if (!response.ok) {
    const problem = await refusalOf(response);
    change((before) => failed(before, problem));
    return;
  }
  const [reader, decoder] = [new EventReader(), new TextDecoder()];
  let hasEnded = false;
  const take = (datas: string[]): void => {
    for (const data of datas) {
      const piece = pieceOf(call.format, data);
      hasEnded ||= piece.isEnd === true || piece.error !== undefined;
      change((before) => taken(before, piece, { data, atMs: performance.now() - startedAt }));
    }
  };
  const body = response.body?.getReader();
  for (let part = await body?.read(); part && !part.done; part = await body?.read()) {
    take(reader.push(decoder.decode(part.value, { stream: true })));
  }
  take(reader.end());
  const cut = { code: "cut", message: "", status: response.status, retryAfter: undefined };
  change((before) => {
    if (before.state === "failed") return before;
    return hasEnded ? { ...before, state: "done", totalMs: performance.now() - startedAt } : failed(before, cut);
  });
}

function taken(before: Run, piece: Piece, { data, atMs }: { data: string; atMs: number }): Run {
  const event = { number: (before.events.at(-1)?.number ?? 0) + 1, atMs, data: data.slice(0, EVENT_TEXT_MAX) };
  const next: Run = { ...before, state: "streaming", events: [...before.events.slice(1 - EVENTS_MAX), event] };
  const hasText = Boolean(piece.text || piece.reasoning);
  if (hasText && before.firstTextMs === undefined) next.firstTextMs = atMs;
  if (piece.text) next.text = before.text + piece.text;
  if (piece.reasoning) next.reasoning = before.reasoning + piece.reasoning;
  if (piece.usage) next.usage = joined(before.usage, piece.usage);
  return piece.error ? failed(next, { ...piece.error, status: 200, retryAfter: undefined }) : next;
}

async function refusalOf(response: Response): Promise<RunProblem> {
  const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const retryAfter = Number.isFinite(seconds) ? seconds : undefined;
  const told = errorOf(await response.json().catch(() => undefined));
  return { code: told?.code ?? "", message: told?.message ?? "", status: response.status, retryAfter };
}
