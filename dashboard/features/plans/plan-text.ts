/** The price of a plan in the text of a configuration. */
import { flowEnd, flowEntries, keyAndValue, unquoted } from "@/features/plans/flow-text";
import type { Plan } from "@/features/plans/use-plans";

/** The price as the keys of `plans[]` have it: each value is YAML on one line. */
export interface PriceText {
  price: string;
  interval: string;
  trial?: string;
  charges?: string;
}

const KEYS = ["price", "interval", "trial", "charges"] as const;

/** The keys of a price with their values. Without a price, there are none: the plan is not for sale. */
function linesOf(price: PriceText | undefined): string[] {
  return price ? KEYS.flatMap((key) => (price[key] ? [`${key}: ${price[key]}`] : [])) : [];
}

function isPriceKey(key: string): boolean {
  return (KEYS as readonly string[]).includes(key);
}

function quoted(text: string): string {
  return JSON.stringify(text);
}

/** A part of the text with what replaces it. */
interface Edit {
  start: number;
  end: number;
  text: string;
}

function apply(text: string, { start, end, text: next }: Edit): string {
  return text.slice(0, start) + next + text.slice(end);
}

/** The text in which the plan has this price. `plans` are those of the store, for a text that lists none. Undefined if the text has a form that is not changed here. */
export function withPrice(text: string, name: string, price: PriceText | undefined, plans: readonly Plan[]): string | undefined {
  const head = /^plans:[ \t]*/m.exec(text);
  if (!head) return `${text === "" || text.endsWith("\n") ? text : `${text}\n`}plans:\n${plans.map((plan) => `  - ${entryOf(plan, plan.name === name ? price : priceOf(plan))}\n`).join("")}`;
  const start = head.index + head[0].length;
  const added = plans.find((plan) => plan.name === name);
  const entry = added && entryOf(added, price);
  if (text.charAt(start) === "[") return inFlow(text, start, name, price, entry);
  if (!/^(#[^\n]*)?(\n|$)/.test(text.slice(start))) return undefined;
  return inBlock(text, text.indexOf("\n", start) + 1, name, price, entry);
}

/** Changes an entry of a list in brackets. */
function inFlow(text: string, start: number, name: string, price: PriceText | undefined, entry: string | undefined): string | undefined {
  const end = flowEnd(text, start);
  if (end === undefined) return undefined;
  const list = text.slice(start, end);
  const found = flowEntries(list).find((plan) => plan.startsWith("{") && nameInFlow(plan) === name);
  if (found) {
    const at = start + list.indexOf(found);
    return apply(text, { start: at, end: at + found.length, text: flowWith(found, price) });
  }
  if (!entry) return undefined;
  const rest = flowEntries(list);
  return apply(text, { start: end - 1, end: end - 1, text: rest.length === 0 || /,\s*\]$/.test(list) ? entry : `, ${entry}` });
}

function nameInFlow(mapping: string): string | undefined {
  const named = flowEntries(mapping).map(keyAndValue).find(([key]) => key === "name");
  return named && unquoted(named[1]);
}

function flowWith(mapping: string, price: PriceText | undefined): string {
  const kept = flowEntries(mapping).filter((entry) => !isPriceKey(keyAndValue(entry)[0]));
  return `{${[...kept, ...linesOf(price)].join(", ")}}`;
}

interface Line {
  start: number;
  end: number;
  /** Without the end of the line. */
  text: string;
}

function linesFrom(text: string, start: number): Line[] {
  const lines: Line[] = [];
  for (let at = start; at < text.length; ) {
    const next = text.indexOf("\n", at);
    const end = next === -1 ? text.length : next + 1;
    lines.push({ start: at, end, text: text.slice(at, end).replace(/\r?\n$/, "") });
    at = end;
  }
  return lines;
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

function isBlank(line: string): boolean {
  return /^\s*(#.*)?$/.test(line);
}

/** Changes an entry of a list whose entries begin with a dash. */
function inBlock(text: string, start: number, name: string, price: PriceText | undefined, entry: string | undefined): string | undefined {
  const all = linesFrom(text, start);
  const first = all.find(({ text: line }) => !isBlank(line));
  const indent = first ? indentOf(first.text) : 0;
  if (!first || !/^\s*- /.test(first.text)) return undefined;
  const stop = all.findIndex(({ text: line }) => !isBlank(line) && (indentOf(line) < indent || (indentOf(line) === indent && !line.trimStart().startsWith("- "))));
  const lines = stop === -1 ? all : all.slice(0, stop);
  const begins = lines.flatMap(({ text: line }, nth) => (!isBlank(line) && indentOf(line) === indent ? [nth] : []));
  for (const [nth, begin] of begins.entries()) {
    const item = lines.slice(begin, begins[nth + 1] ?? lines.length);
    const changed = changedItem(text, item, name, price);
    if (changed !== "other") return changed && apply(text, changed);
  }
  if (!entry) return undefined;
  const last = lines.findLast(({ text: line }) => !isBlank(line));
  const at = last?.end ?? start;
  const isOpen = text.charAt(at - 1) !== "\n";
  return apply(text, { start: at, end: at, text: `${isOpen ? "\n" : ""}${" ".repeat(indent)}- ${entry}\n` });
}

/** The change of an item of a block list; `other` for another plan, and undefined for a form that is not changed here. */
function changedItem(text: string, item: readonly Line[], name: string, price: PriceText | undefined): Edit | "other" | undefined {
  const [first] = item;
  if (!first) return "other";
  const content = first.start + first.text.indexOf("- ") + 2 + (/- ( *)/.exec(first.text)?.[1]?.length ?? 0);
  if (text.charAt(content) === "{") {
    const end = flowEnd(text, content);
    if (end === undefined) return undefined;
    const mapping = text.slice(content, end);
    return nameInFlow(mapping) === name ? { start: content, end, text: flowWith(mapping, price) } : "other";
  }
  const column = content - first.start;
  const keys = item.map(({ start, end, text: line }, nth) => ({ start, end, isOwn: !isBlank(line) && (nth === 0 || indentOf(line) === column), line: nth === 0 ? line.slice(column) : line.slice(indentOf(line)) }));
  const named = keys.find(({ isOwn, line }) => isOwn && keyAndValue(line)[0] === "name");
  if (!named || unquoted(keyAndValue(named.line)[1]) !== name) return "other";
  if (isPriceKey(keyAndValue(keys[0]?.line ?? "")[0])) return undefined;
  let isRemoved = false;
  const kept = keys.filter(({ isOwn, line }) => {
    if (isOwn) isRemoved = isPriceKey(keyAndValue(line)[0]);
    return !isRemoved || line === "";
  });
  const lastKept = kept.findLast(({ line }) => !isBlank(line)) ?? kept[0];
  const added = linesOf(price).map((line) => `${" ".repeat(column)}${line}\n`).join("");
  const parts = kept.map((key) => {
    const own = text.slice(key.start, key.end);
    return key === lastKept ? `${own.endsWith("\n") ? own : `${own}\n`}${added}` : own;
  });
  return { start: first.start, end: item.at(-1)?.end ?? first.end, text: parts.join("") };
}

/** A plan of the store as an entry of the list. */
function entryOf({ name, credits_per_day, requests_per_minute, budgets, shared_keys, models, aliases }: Plan, price: PriceText | undefined): string {
  const list = budgets.map(({ money, credits, tokens, per }) => {
    const amount = typeof money === "string" ? `money: ${quoted(money)}` : typeof credits === "number" ? `credits: ${credits}` : `tokens: ${tokens ?? 0}`;
    return `{${amount}, per: ${per}}`;
  });
  const parts = [
    `name: ${quoted(name)}`,
    typeof credits_per_day === "number" && `credits_per_day: ${credits_per_day}`,
    typeof requests_per_minute === "number" && `requests_per_minute: ${requests_per_minute}`,
    list.length > 0 && `budgets: [${list.join(", ")}]`,
    !shared_keys && "shared_keys: false",
    models && `models: [${models.map(quoted).join(", ")}]`,
    aliases && `aliases: {${Object.entries(aliases).map(([alias, model]) => `${quoted(alias)}: ${quoted(model)}`).join(", ")}}`,
    ...linesOf(price),
  ];
  return `{${parts.filter((part) => typeof part === "string").join(", ")}}`;
}

const NANO = 1_000_000_000;

/** An amount of billing as the configuration has it: `150000 IDR`. */
export function moneyText({ amount, currency }: { amount: number; currency: string }): string {
  return currency === "IDR" ? `${amount} IDR` : `${decimal(amount)} ${currency}`;
}

/** Billionths as a decimal number without zeros at its end. */
function decimal(nano: number): string {
  const rest = String(nano % NANO).padStart(9, "0").replace(/0+$/, "");
  return rest === "" ? String(Math.floor(nano / NANO)) : `${Math.floor(nano / NANO)}.${rest}`;
}

/** The price at which a plan is for sale; undefined if it is not. */
export function priceOf({ price, interval, trial_days, charges }: Plan): PriceText | undefined {
  if (!price) return undefined;
  return {
    price: quoted(moneyText(price)),
    interval: interval ?? "month",
    ...(trial_days ? { trial: `${trial_days}d` } : {}),
    ...(charges && charges.length > 0 ? { charges: `[${charges.map((charge) => chargeOf(charge, price.currency)).join(", ")}]` } : {}),
  };
}

type Charge = NonNullable<Plan["charges"]>[number];

/** A charge as an entry of `charges`. */
export function chargeOf({ name, metric, models, included, model, unit_price, size, tiers, markup_percent }: Charge, currency: string): string {
  const unit = (price: string | null | undefined): string => quoted(`${price ?? "0"} ${currency}`);
  const parts = [
    `name: ${quoted(name)}`,
    `metric: ${metric}`,
    model !== "cost" && `model: ${model}`,
    models.length > 0 && `models: [${models.map(quoted).join(", ")}]`,
    included > 0 && `included: ${metric === "cost" ? quoted(`${decimal(included)} USD`) : included}`,
    typeof size === "number" && `size: ${size}`,
    typeof unit_price === "string" && `unit: ${unit(unit_price)}`,
    tiers && tiers.length > 0 && `tiers: [${tiers.map((tier) => `{${typeof tier.up_to === "number" ? `up_to: ${tier.up_to}, ` : ""}unit: ${unit(tier.unit_price)}}`).join(", ")}]`,
    model === "cost" && typeof markup_percent === "number" && markup_percent > 0 && `markup: ${markup_percent}%`,
  ];
  return `{${parts.filter((part) => typeof part === "string").join(", ")}}`;
}
