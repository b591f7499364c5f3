import type { Schemas } from "@/lib/api";

export type StepName = "admin" | "provider" | "key" | "call";
export const STEPS: readonly StepName[] = ["admin", "provider", "key", "call"];

type Provider = Schemas["Provider"];

export interface SetupFacts {
  /** Whether the server has no admin. */
  needsAdmin: boolean;
  providers: readonly Provider[];
  /** Whether the reader continues without a credential. */
  isProviderSkipped: boolean;
  keys: readonly Schemas["ApiKey"][];
  requests: readonly Schemas["RequestLine"][];
}

/** Providers that cost money and need a credential. */
export function realProviders(providers: readonly Provider[]): Provider[] {
  return providers.filter(({ kind }) => kind !== "mock");
}

/** Whether a provider has a credential. The mock provider does not count: the reader continues with it on purpose. */
export function isProviderReady(providers: readonly Provider[]): boolean {
  return realProviders(providers).some(({ credential }) => credential.state !== "missing");
}

/** The first step that is not finished; undefined once a call has succeeded. Each step is read from the server. */
export function currentStep(facts: SetupFacts, now: Date): StepName | undefined {
  if (facts.needsAdmin) return "admin";
  if (facts.requests.some(succeeded)) return undefined;
  if (!isProviderReady(facts.providers) && !facts.isProviderSkipped) return "provider";
  return usableKey(facts.keys, now) ? "call" : "key";
}

export function succeeded(request: Schemas["RequestLine"]): boolean {
  return request.status < 400;
}

/** The newest key that clients can use. */
export function usableKey(keys: readonly Schemas["ApiKey"][], now: Date): Schemas["ApiKey"] | undefined {
  return keys.find((key) => !key.revoked_at && (!key.expires_at || new Date(key.expires_at) > now));
}

export interface Example {
  url: string;
  body: string;
}

/** A call of a model that the reader can use now. Without one, the site's own example is used. */
export function exampleOf(models: readonly Schemas["Model"][], baseUrl: string): Example | undefined {
  const callable = models.filter(({ credential, formats, name }) => credential !== "missing" && formats.includes("chat") && !/['"\\]/.test(name));
  const model = callable.find(({ listed }) => listed) ?? callable[0];
  if (!model) return undefined;
  return { url: `${baseUrl}/v1/chat/completions`, body: JSON.stringify({ model: model.name, messages: [{ role: "user", content: "Hello" }] }) };
}
