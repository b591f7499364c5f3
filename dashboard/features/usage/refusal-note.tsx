"use client";

import { Link2 } from "lucide-react";
import Link from "next/link";

import { Note } from "@/components/ui/note";
import { figuresOf, measureOf, ruleText } from "@/features/budgets/budget-figures";
import { useKey, useKeyBudgets } from "@/features/keys/use-keys";
import { RefusedLimit } from "@/features/usage/refused-limit";
import type { Schemas } from "@/lib/api";
import { useFormat, useMessages } from "@/lib/language";
import { useMe } from "@/lib/queries";

/** The codes that OpenAI clients receive in place of those of the gateway: see docs/errors.md. */
const OPENAI_CODES: Record<string, string> = { quota_exceeded: "insufficient_quota", budget_exceeded: "insufficient_quota", rate_limited: "rate_limit_exceeded" };
const OTHER_FORMATS = ["messages", "generate_content", "embed_content"];
/** The codes of requests that a quota or a budget did not cover. */
const BUDGET_CODES = ["quota_exceeded", "budget_exceeded", "quota_withheld"];

function isOfOpenAi({ format }: Schemas["RequestDetail"]): boolean {
  return typeof format === "string" && !OTHER_FORMATS.includes(format);
}

/** Why the gateway refused a request, and the limits that the reader can look at or raise. */
export function RefusalNote({ request, refusal }: { request: Schemas["RequestDetail"]; refusal: Schemas["RequestRefusal"] }) {
  const t = useMessages();
  const isAdmin = useMe().data?.acts_as === "admin";
  const clientCode = isOfOpenAi(request) ? OPENAI_CODES[refusal.code] : undefined;
  return (
    <>
      <section>
        <Note tone="warn" title={t.usage.refusedTitle}>
          <p>{refusal.message}</p>
          {clientCode && <p className="mt-1">{t.usage.seenAs(clientCode)}</p>}
          <p className="row mt-2">
            <code className="mono">{refusal.code}</code>
            <a className="link sm" href={`/docs/errors#${refusal.code}`}>
              <Link2 className="i s inline" aria-hidden /> {t.usage.aboutCode(refusal.code)}
            </a>
          </p>
        </Note>
        <p className="hint">{t.usage.nothingCharged}</p>
        {isAdmin && refusal.code === "rate_limited" && <Link className="link sm" href="/dashboard/limits">{t.usage.showLimits}</Link>}
      </section>
      {refusal.limit && <RefusedLimit request={request} limit={refusal.limit} />}
      {request.key && BUDGET_CODES.includes(refusal.code) && <BudgetsOfKey id={request.key.id} />}
    </>
  );
}

/** The quotas and budgets that apply to the key, as they are now. */
function BudgetsOfKey({ id }: { id: string }) {
  const key = useKey(id).data;
  return key ? <BudgetsNow apiKey={key} /> : null;
}

function BudgetsNow({ apiKey }: { apiKey: Schemas["ApiKeyDetail"] }) {
  const t = useMessages();
  const budgets = useKeyBudgets(apiKey).data ?? [];
  if (budgets.length === 0) return null;
  return (
    <section aria-labelledby="budgets-now">
      <h3 id="budgets-now">{t.usage.budgetsNow}</h3>
      <ul className="reasons">
        {budgets.map((budget) => <BudgetNow key={`${budget.dimension}-${budget.per}-${measureOf(budget)}-${budget.source}`} budget={budget} keyId={apiKey.id} />)}
      </ul>
      <p className="hint">{t.usage.budgetsNowText}</p>
    </section>
  );
}

/** One limit: its maximum, what is used and left, when it is full again, and where it can be raised. */
function BudgetNow({ budget, keyId }: { budget: Schemas["Budget"]; keyId: string }) {
  const t = useMessages();
  const format = useFormat();
  const isAdmin = useMe().data?.acts_as === "admin";
  const { amount, used, remaining, share } = figuresOf(budget, format);
  const places = { configuration: "/dashboard/configuration", api: "/dashboard/budgets", plan: "/dashboard/plans", key: `/dashboard/keys?id=${keyId}` };
  const isOpen = isAdmin || budget.source === "key";
  return (
    <li>
      {ruleText(budget, t)}
      <span className="t3"> ({t.budgets.dimensions[budget.dimension]}, {t.explain.sources[budget.source]})</span>:{" "}
      <b className={share !== undefined && share >= 1 ? "med num bad" : "med num"}>{used === undefined ? amount : t.budgets.usedOf(used, amount)}</b>
      {remaining !== undefined && <span className="num">, {t.usage.leftNow(remaining)}</span>}
      <span className="t3 num">, {t.usage.fullAgain(format.moment(budget.resets_at))}</span>{" "}
      {isOpen ? <Link className="link sm" href={places[budget.source]}>{t.usage.changeLimit}</Link> : <span className="t3 sm">{t.usage.raisedByAdmin}</span>}
    </li>
  );
}
