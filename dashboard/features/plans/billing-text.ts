/** The section `billing` in the text of a configuration. */
import type { Configuration } from "@/features/configuration/use-configuration";
import { flowEnd } from "@/features/plans/flow-text";

type Settings = Configuration["settings"];
type Value = Settings[number]["value"];

/** The keys that a form sets, below `billing`. Undefined removes a key. */
export type BillingKeys = Readonly<Record<string, string | boolean | undefined>>;

const SECTION = "billing.";
/** A setting of a line of a text, and not of a variable. */
const OF_TEXT = /:\d+$/;

/** The value of a key of billing in the configuration that is in force. */
export function billingValue(settings: Settings, key: string): Value {
  return settings.find((setting) => setting.key === SECTION + key)?.value ?? null;
}

/** The text in which billing has these keys; keys that are not given stay. Undefined if the section has comments, references or another form that is not changed here. */
export function withBilling(text: string, settings: Settings, keys: BillingKeys): string | undefined {
  const kept = settings.filter(({ key, from }) => key.startsWith(SECTION) && OF_TEXT.test(from));
  if (kept.some(({ value }) => value === "***")) return undefined;
  const values = new Map<string, Value>(kept.map(({ key, value }) => [key.slice(SECTION.length), value]));
  for (const [key, value] of Object.entries(keys)) {
    if (value === undefined) values.delete(key);
    else values.set(key, value);
  }
  const place = placeOf(text);
  if (!place) return undefined;
  const [start, end] = place;
  const before = text.slice(0, start);
  const isOpen = before !== "" && !before.endsWith("\n");
  return `${before}${isOpen ? "\n" : ""}${section(values)}${text.slice(end)}`;
}

/** Where the section begins and ends; the end of the text if it has none. */
function placeOf(text: string): [number, number] | undefined {
  const head = /^billing:[ \t]*/m.exec(text);
  if (!head) return [text.length, text.length];
  const value = head.index + head[0].length;
  const end = text.charAt(value) === "{" ? flowEnd(text, value) : blockEnd(text, value);
  if (end === undefined) return undefined;
  const rest = /^[ \t]*(\n|$)/.exec(text.slice(end));
  const whole = text.charAt(value) === "{" ? end + (rest?.[0].length ?? 0) : end;
  if (text.charAt(value) === "{" && !rest) return undefined;
  return /(^|\s)#/.test(text.slice(head.index, whole)) ? undefined : [head.index, whole];
}

/** The beginning of the next key that is not indented. */
function blockEnd(text: string, start: number): number | undefined {
  const line = text.indexOf("\n", start);
  if (line !== -1 && text.slice(start, line).trim() !== "") return undefined;
  const next = /^[^\s]/m.exec(text.slice(line + 1));
  return line === -1 || !next ? text.length : line + 1 + next.index;
}

/** The section as lines of YAML. */
function section(values: ReadonlyMap<string, Value>): string {
  const root = new Map<string, unknown>();
  for (const [key, value] of values) insert(root, key.split(/[.[]/), value);
  return `billing:\n${lines(root, "  ")}`;
}

function insert(into: Map<string, unknown>, [name = "", ...rest]: readonly string[], value: Value): void {
  if (rest.length === 0) {
    into.set(name, value);
    return;
  }
  const below = into.get(name);
  const section = below instanceof Map ? (below as Map<string, unknown>) : new Map<string, unknown>();
  into.set(name, section);
  insert(section, rest, value);
}

/** The lines of a mapping, or of a list, whose keys are positions: `0]`. */
function lines(of: ReadonlyMap<string, unknown>, indent: string): string {
  return [...of].map(([key, value]) => {
    if (!(value instanceof Map)) return `${indent}${key}: ${scalar(value)}\n`;
    const below = value as ReadonlyMap<string, unknown>;
    if (key.endsWith("]")) return `${indent}- ${lines(below, `${indent}  `).trimStart()}`;
    return `${indent}${key}:\n${lines(below, `${indent}  `)}`;
  }).join("");
}

function scalar(value: unknown): string {
  return typeof value === "string" && !/^\d+(\.\d+)?$/.test(value) ? JSON.stringify(value) : String(value);
}
