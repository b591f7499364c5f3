export interface Grant {
  role: string;
  label?: string | null;
}

/** Roles beside admin and member as one text: `finance, team_lead:team=payments`. */
export function grantsText(grants: readonly Grant[]): string {
  return grants.map(grantText).join(", ");
}

export function grantText({ role, label }: Grant): string {
  return label ? `${role}:${label}` : role;
}

/** The roles of a text; the server checks them. */
export function grantsOf(text: string): { role: string; label: string | null }[] {
  const parts = text.split(",").map((part) => part.trim()).filter((part) => part !== "");
  return parts.map((part) => {
    const at = part.indexOf(":");
    return at < 0 ? { role: part, label: null } : { role: part.slice(0, at).trim(), label: part.slice(at + 1).trim() };
  });
}
