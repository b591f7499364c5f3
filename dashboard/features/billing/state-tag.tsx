import { clsx } from "clsx";

import type { Tone } from "@/features/billing/billing-words";

/** The state of a subscription, an invoice or a payment, by a word and its tone. */
export function StateTag({ of: [tone, word] }: { of: [Tone, string] }) {
  return <span className={clsx("tag", tone)}>{word}</span>;
}
