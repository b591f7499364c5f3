/** The time that a list shows: a preset, which moves with the clock, or two bounds. */

export const PRESETS = ["1h", "24h", "today", "yesterday", "7d"] as const;
export type Preset = (typeof PRESETS)[number];

export interface Period {
  /** Empty for all times, or if there are bounds. */
  preset: Preset | "";
  /** Bounds as RFC 3339 times; empty for none. */
  since: string;
  until: string;
}

const MINUTE_MS = 60_000;
const PRESET_MS = { "1h": 3_600_000, "24h": 86_400_000, "7d": 7 * 86_400_000 } as const;

/** The period that the address names; bounds replace a preset. What is no time is left out. */
export function periodOf(get: (name: string) => string): Period {
  const [since, until] = [timeOf(get("since")), timeOf(get("until"))];
  const preset = since === "" && until === "" ? PRESETS.find((name) => name === get("when")) : undefined;
  return { preset: preset ?? "", since, until };
}

function timeOf(text: string): string {
  const ms = text === "" ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? "" : new Date(ms).toISOString();
}

/** The bounds of a period as parameters of the API. Whole minutes, so that the pages of a list have the same start. */
export function boundsOf({ preset, since, until }: Period, now: Date): { since?: string; until?: string } {
  if (preset === "") return { ...(since && { since }), ...(until && { until }) };
  if (preset === "today") return { since: midnight(now, 0) };
  if (preset === "yesterday") return { since: midnight(now, -1), until: midnight(now, 0) };
  const minute = Math.floor(now.getTime() / MINUTE_MS) * MINUTE_MS;
  return { since: new Date(minute - PRESET_MS[preset]).toISOString() };
}

/** The begin of a day of the reader's zone; days have 23 to 25 hours. */
function midnight(now: Date, days: number): string {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + days).toISOString();
}

/** A time as the value of an input of the type `datetime-local`, in the reader's zone. */
export function localOf(time: string): string {
  if (time === "") return "";
  const at = new Date(time);
  return new Date(at.getTime() - at.getTimezoneOffset() * MINUTE_MS).toISOString().slice(0, 16);
}
