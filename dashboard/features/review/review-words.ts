import type { ReviewStatus } from "@/features/review/use-review";

/** The user who reads a review, with the roles that the user holds. */
export interface Reader {
  id: string;
  roles: readonly string[];
}

/** Whether a user has decided about these figures, for any role: nobody decides about the same figures twice. */
export function hasDecided({ required, history }: ReviewStatus, userId: string): boolean {
  return history.some(({ user, role, at }) => user?.id === userId && required.some((current) => current.role === role && current.at === at));
}

/** The roles of the reader that may decide now: a day that is not over has no decision, and a person decides once about the same figures. */
export function openRoles(review: ReviewStatus, { id, roles: held }: Reader): string[] {
  if (!review.complete || review.state === "collecting" || hasDecided(review, id)) return [];
  return review.required.flatMap(({ role, state }) => (held.includes(role) && state !== "approved" ? [role] : []));
}
