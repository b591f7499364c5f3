import type { AuditLine } from "@/features/audit/use-audit";
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

/** One value of a change as text. */
export function valueText(value: unknown, t: Messages): string {
  if (value === null || value === undefined || value === "") return t.audit.nothing;
  if (typeof value === "boolean") return value ? t.audit.yes : t.audit.no;
  if (Array.isArray(value)) return value.length === 0 ? t.audit.nothing : value.map((item) => valueText(item, t)).join(", ");
  if (typeof value !== "object") return String(value);
  return Object.values(value).map((item) => valueText(item, t)).join(" ");
}

/** The values of a change, by name. An object, such as the limits of a key, becomes one line per value that is set. */
export function detailOf(line: AuditLine, t: Messages): [string, string][] {
  return Object.entries(line.detail).flatMap(([name, value]): [string, string][] => {
    const isGroup = typeof value === "object" && value !== null && !Array.isArray(value);
    if (!isGroup) return [[t.audit.fields[name] ?? name, valueText(value, t)]];
    const set = Object.entries(value as Record<string, unknown>).filter(([, of]) => of !== null);
    return set.map(([of, text]) => [t.audit.fields[of] ?? of, valueText(text, t)]);
  });
}

/** All values in one line. */
export function detailText(line: AuditLine, t: Messages): string {
  return detailOf(line, t).map(([name, value]) => `${name}: ${value}`).join(" · ");
}
