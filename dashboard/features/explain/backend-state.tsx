"use client";

import type { Schemas } from "@/lib/api";
import { useFormat, useMessages } from "@/lib/language";

const TONES = { available: "ok", open: "bad", half_open: "warn", unhealthy: "bad", ejected: "warn", drained: "" } as const;

interface Props {
  upstream: string;
  backend: Schemas["ExplainedBackend"];
  states: Schemas["ExplainedBackendState"][];
}

/** Whether a backend gets requests now, and if not, why and until when. */
export function BackendState({ upstream, backend, states }: Props) {
  const t = useMessages();
  const format = useFormat();
  const found = stateOf(upstream, backend, states);
  const state = backend.weight === 0 ? "drained" : found?.state;
  if (!state) return null;
  const { cause, ends_at: end } = found ?? {};
  const details = [cause && (t.explain.causes[cause] ?? cause), end && t.explain.until(format.time(end))];
  const text = details.filter(Boolean).join(", ");
  return (
    <>
      <span className={`tag ${TONES[state]}`}>{t.upstreams.states[state]}</span>
      {text !== "" && <span className="t3 sm"> {text}</span>}
    </>
  );
}

/** The state of the backend with the longest URL with which the URL of the request begins. */
function stateOf(upstream: string, { url, name }: Props["backend"], states: Props["states"]) {
  const begins = ({ url: base }: Props["states"][number]) => url === base || ["/", "?"].some((next) => url.startsWith(`${base}${next}`));
  const candidates = states.filter((state) => state.upstream === upstream && state.name === name && begins(state));
  return candidates.sort((a, b) => b.url.length - a.url.length)[0];
}
