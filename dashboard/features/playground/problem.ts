import type { RunProblem } from "@/features/playground/use-run";
import type { Messages } from "@/messages/en";

/** The codes of the gateway that need the same words. */
const WORDS: Record<string, string> = {
  // OpenAI's clients get its own codes for some refusals.
  invalid_api_key: "key",
  rate_limit_exceeded: "rate_limited",
  unauthorized: "key",
  key_malformed: "key",
  key_unknown: "key",
  insufficient_quota: "quota_exceeded",
  bad_request: "invalid",
  unprocessable: "invalid",
  ambiguous_credentials: "invalid",
  payload_too_large: "too_large",
  upstream_connect: "upstream",
  upstream_reset: "upstream",
  upstream_protocol: "upstream",
  upstream_timeout: "upstream",
  overloaded: "busy",
  directory_busy: "busy",
  draining: "busy",
  unavailable: "busy",
  spool_full: "busy",
  quota_withheld: "busy",
  internal: "busy",
};

/** What happened and what to do, in plain words. Codes that are not the gateway's come from the provider. */
export function wordsOf({ code, status, retryAfter }: RunProblem, t: Messages): { title: string; text: string } {
  const words = t.playground.problems;
  const [title, text] = words[WORDS[code] ?? code] ?? (status >= 500 ? words.upstream : words.provider) ?? ["", ""];
  return { title, text: retryAfter === undefined ? text : `${text} ${t.playground.retryIn(Math.ceil(retryAfter))}` };
}
