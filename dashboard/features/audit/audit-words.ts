import type { AuditLine } from "@/features/audit/use-audit";
import type { Format } from "@/lib/format";
import type { Messages } from "@/messages/en";

/** The words of an action; one of a newer server is shown as it is. */
export function actionName(action: string, t: Messages): string {
  return t.audit.actions[action] ?? action;
}

/** Who made a change. */
export function actorName({ actor }: AuditLine, t: Messages): string {
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
  if (typeof value === "number") return format.count(value);
  const texts = (values: unknown[]): string[] => values.map((item) => valueText(item, t, format));
  if (Array.isArray(value)) return value.length === 0 ? t.audit.nothing : texts(value).join(", ");
  return typeof value === "object" ? texts(Object.values(value)).join(" ") : String(value);
}

/** The values of a change, by name. An object, such as the limits of a key, becomes one line per value that is set. */
export function detailOf(line: AuditLine, t: Messages, format: Format): [string, string][] {
  const entry = (name: string, value: unknown): [string, string] => {
    const isTime = name.endsWith(MICROS) && typeof value === "number";
    const words = isTime ? format.moment(new Date(value / 1_000)) : valueText(value, t, format);
    return [t.audit.fields[name.replace(MICROS, "")] ?? name, words];
  };
  return Object.entries(line.detail).flatMap(([name, value]): [string, string][] => {
    const isGroup = typeof value === "object" && value !== null && !Array.isArray(value);
    if (!isGroup) return [entry(name, value)];
    const set = Object.entries(value as Record<string, unknown>).filter(([, of]) => of !== null);
    return set.map(([of, text]) => entry(of, text));
  });
}

/** All values in one line. */
export function detailText(line: AuditLine, t: Messages, format: Format): string {
  return detailOf(line, t, format).map(([name, value]) => `${name}: ${value}`).join(" · ");
}
