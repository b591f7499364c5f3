import type { AuditLine } from "@/features/audit/use-audit";
import type { Format } from "@/lib/format";
import type { Messages } from "@/messages/en";

/** The words of an action; one of a newer server is shown as it is. */
export function actionName(action: string, t: Messages): string {
  return t.audit.actions[action] ?? action;
}

/** Who made a change. */
export function actorName({ actor, action }: Pick<AuditLine, "actor" | "action">, t: Messages): string {
  if (action === "session.refuse") return t.audit.stranger;
  const name = actor.user_name ?? actor.user_id;
  if (actor.kind === "command") return t.audit.command;
  if (actor.kind === "system") return t.audit.system;
  return actor.kind === "key" ? t.audit.byKey(name ?? t.audit.unknown) : (name ?? t.audit.unknown);
}

/** The ending of names whose value is a time. */
const MICROS = "_micros";

/** One value of a change as text. */
export function valueText(value: unknown, t: Messages, format: Format): string {
  if (value === null || value === undefined || value === "") return t.audit.nothing;
  if (typeof value === "boolean") return value ? t.audit.yes : t.audit.no;
  if (typeof value === "number") return format.whole(value);
  const texts = (values: unknown[]): string[] => values.map((item) => valueText(item, t, format));
  if (Array.isArray(value)) return value.length === 0 ? t.audit.nothing : texts(value).join(", ");
  return typeof value === "object" ? texts(Object.values(value)).join(" ") : String(value);
}

/** One value of a change; `before` is missing if the log has no old value. */
export interface AuditValue {
  name: string;
  before?: string;
  value: string;
}

type Fields = Record<string, unknown>;

function isGroup(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The fields of an object and of the objects in it, such as the limits of a key. Of these, empty ones say nothing. */
function flat(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]): [string, unknown][] => (isGroup(value) ? Object.entries(flat(value)).filter(([, of]) => of !== null) : [[name, value]])),
  );
}

/** The values of a change, in the order of the messages. Of two whole states, only what differs is shown. */
export function detailOf(line: AuditLine, t: Messages, format: Format): AuditValue[] {
  const order = Object.values(t.audit.fields);
  const place = ({ name }: AuditValue) => (order.includes(name) ? order.indexOf(name) : order.length);
  return valuesOf(line, t, format).sort((one, other) => place(one) - place(other));
}

function valuesOf(line: AuditLine, t: Messages, format: Format): AuditValue[] {
  const { before, after, ...rest } = line.detail as Fields;
  const [old, states] = [isGroup(before) ? flat(before) : {}, isGroup(after) ? flat(after) : undefined];
  const text = (name: string, value: unknown): string => {
    const isTime = name.endsWith(MICROS) && typeof value === "number";
    return isTime ? format.moment(new Date(value / 1_000)) : valueText(value, t, format);
  };
  const named = (name: string) => t.audit.fields[name.replace(MICROS, "")] ?? name;
  const known = Object.entries(flat(rest)).map(([name, value]): AuditValue => {
    const hasBefore = !states && name in old;
    return { name: named(name), ...(hasBefore && { before: text(name, old[name]) }), value: text(name, value) };
  });
  if (!states) return known;
  const names = Object.keys({ ...old, ...states }).filter((name) => JSON.stringify(old[name] ?? null) !== JSON.stringify(states[name] ?? null));
  return [...known, ...names.map((name) => ({ name: named(name), before: text(name, old[name]), value: text(name, states[name]) }))];
}

/** All values in one line. */
export function detailText(line: AuditLine, t: Messages, format: Format): string {
  return detailOf(line, t, format).map(({ name, before, value }) => `${name}: ${before === undefined ? value : `${before} → ${value}`}`).join(" · ");
}
