import type { Messages } from "@/messages/en";

/** The name of a role as people read it; one of a newer server is shown as it is. */
export function roleName(role: string, t: Messages): string {
  const names: Record<string, string> = t.frame.roles;
  return names[role] ?? role.replaceAll("_", " ");
}
