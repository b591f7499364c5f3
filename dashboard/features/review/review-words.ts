import type { ReviewStatus } from "@/features/review/use-review";

/** The roles of the reader that may decide now: a day that is not over has no decision, and an approval is made once. */
export function openRoles(review: ReviewStatus, held: readonly string[]): string[] {
  if (!review.complete || review.state === "collecting") return [];
  return review.required.flatMap(({ role, state }) => (held.includes(role) && state !== "approved" ? [role] : []));
}
