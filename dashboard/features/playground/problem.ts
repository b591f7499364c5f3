import type { RunProblem } from "@/features/playground/use-run";
import type { Messages } from "@/messages/en";

/** What happened: the reason of the response as it is. Only a call without a reason gets words of this page. */
export function wordsOf({ code, status, message, retryAfter }: RunProblem, t: Messages): { title: string; text: string } {
  const own = code === "network" || code === "cut" ? t.playground.problems[code] : undefined;
  const title = own?.[0] ?? t.playground.refusedWith(status);
  const reason = own?.[1] ?? (message === "" ? t.playground.noReason : message);
  return { title, text: reason + (retryAfter === undefined ? "" : ` ${t.playground.retryIn(Math.ceil(retryAfter))}`) };
}
