/** The state of the page in its address: a request without its secrets. */
import { fieldsOf } from "@/features/explain/pasted";

export interface Values {
  method: string;
  url: string;
  headers: string;
  /** The id of a key, or `ENTRY/NAME`. */
  key: string;
  address: string;
}

export const EMPTY: Values = { method: "GET", url: "", headers: "", key: "", address: "" };

/** Words in the names of fields and parameters whose values are secrets, as in the list of limits. */
const SECRET = /auth|cookie|cred|jwt|key|password|secret|session|sid|sign|token/i;

/** The values as the address has them; an empty one is left out. A secret is never part of it. */
export function inAddress({ method, url, headers, key, address }: Values): Record<keyof Values, string> {
  const fields = fieldsOf(headers);
  const shown = typeof fields === "number" ? [] : Object.entries(fields).filter(([name]) => !SECRET.test(name));
  return {
    method: method === EMPTY.method ? "" : method,
    url: withoutSecrets(url),
    headers: shown.map(([name, value]) => `${name}: ${value}`).join("\n"),
    key,
    address,
  };
}

export function fromAddress(get: (name: string) => string): Values {
  return { method: get("method").toUpperCase() || EMPTY.method, url: get("url"), headers: get("headers"), key: get("key"), address: get("address") };
}

/** Removes a name and a password, and parameters with secrets, such as Google's `?key=`. */
function withoutSecrets(url: string): string {
  const [path = "", query] = url.replace(/^([a-z]+:\/\/)[^/?#]*@/i, "$1").split(/\?(.*)/s);
  const kept = (query ?? "").split("&").filter((pair) => pair !== "" && !SECRET.test(pair.split("=")[0] ?? ""));
  return kept.length === 0 ? path : `${path}?${kept.join("&")}`;
}

/** The key of this gateway in a request: in a field, or in the parameter `key`. Its text begins with the prefix of all keys. */
export function secretOf({ headers, url }: Pick<Values, "headers" | "url">, prefix: string): string | undefined {
  if (prefix === "") return undefined;
  const fields = fieldsOf(headers);
  const values = typeof fields === "number" ? [] : Object.values(fields);
  const inQuery = /[?&]key=([^&#]+)/.exec(url)?.[1] ?? "";
  return [...values.map((value) => value.replace(/^bearer\s+/i, "")), inQuery].find((value) => isKey(value, prefix));
}

/** Whether a text has the shape of a key. */
export function isKey(text: string, prefix: string): boolean {
  return prefix !== "" && text.startsWith(`${prefix}_`) && !/[\s/]/.test(text);
}

/** The address of the page that explains requests with a key. */
export function explainKeyLink(id: string): string {
  return `/dashboard/explain?${new URLSearchParams({ key: id }).toString()}`;
}

/** The address of the page that explains a recorded LLM request; of other requests, no path is recorded. */
export function explainLink({ route, model, key }: { route?: string | null | undefined; model?: string | null | undefined; key?: { id: string } | null | undefined }): string | undefined {
  if (!route?.startsWith("/")) return undefined;
  const url = route.replace("{model}", model ?? "");
  const query = new URLSearchParams({ method: "POST", url, ...(key && { key: key.id }) });
  return `/dashboard/explain?${query.toString()}`;
}
