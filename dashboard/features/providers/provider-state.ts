import type { Schemas } from "@/lib/api";

export type Provider = Schemas["Provider"];

/** What a reader must know about a provider first. */
export type ProviderState = "ok" | "unsteady" | "failing" | "refused" | "limited" | "unknown" | "missing";

export const TONES: Record<ProviderState, "" | "ok" | "warn" | "bad"> = { ok: "ok", unsteady: "warn", failing: "bad", refused: "bad", limited: "warn", unknown: "", missing: "warn" };

/** From this share of failed requests on, a provider is not called healthy. */
const UNSTEADY = 0.05;

/** A missing credential explains all failures, so it comes first. */
export function stateOf({ credential, health }: Provider): ProviderState {
  if (credential.state === "missing") return "missing";
  if (health.status === "ok") return health.failures > 0 && health.failures >= UNSTEADY * health.requests ? "unsteady" : "ok";
  if (health.status !== "failing") return health.status;
  const status = health.last_failure_status;
  if (status === 401 || status === 403) return "refused";
  return status === 429 ? "limited" : "failing";
}

/** Whether nobody uses the provider yet: the configuration does not list it, and it has no credential. */
export function isOff({ offered, credential }: Provider): boolean {
  return offered && credential.state === "missing";
}

/** Providers that a credential would repair, the failing ones first. */
export function withoutCredential(providers: readonly Provider[]): Provider[] {
  const urgency = (provider: Provider): number => (isOff(provider) ? -1 : ["refused", "missing"].indexOf(stateOf(provider)));
  return providers.filter((provider) => urgency(provider) >= 0).sort((a, b) => urgency(a) - urgency(b));
}

/** The credential in the vault that the reader's requests use; `undefined` if they use none, or one that the reader may not see. */
export function usedCredential({ credential: { state, own, shared, configured } }: Provider): string | undefined {
  if (state === "own") return own[0]?.id;
  if (state !== "shared" || configured?.source === "configuration") return undefined;
  const named = configured?.label ? shared?.find(({ label }) => label === configured.label) : shared?.[0];
  return named?.id;
}

/** The share of requests of the last hour that succeeded; `undefined` without requests. */
export function successOf({ health }: Provider): number | undefined {
  return health.requests === 0 ? undefined : 1 - health.failures / health.requests;
}
