"use client";

import type { ReactNode } from "react";

import { Meter, NEARLY } from "@/components/ui/meter";
import { lengthMs, nanoOf } from "@/features/budgets/budget-figures";
import { reservedOf } from "@/features/usage/series";
import type { Schemas } from "@/lib/api";
import type { Money } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import type { Overview } from "@/lib/queries";

/** A projection from less of the period says nothing. */
const PASSED_MIN = 0.1;

/** A budget of money with its amounts as numbers. */
export interface MoneyBudget {
  dimension: Schemas["BudgetDimension"];
  used: number;
  limit: number;
  currency: string;
  resetsAt: string;
}

/** Reads the budget of money of a period of which the largest part is used. It may be more than the whole: then `remaining` is 0. */
export function moneyBudget(budgets: readonly Schemas["Budget"][], per: "day" | "month"): MoneyBudget | undefined {
  const all = budgets.flatMap((budget): MoneyBudget[] => {
    const { used, money } = budget;
    if (budget.per !== per || !money || !isCost(used)) return [];
    return [{ dimension: budget.dimension, used: used.amount_nano, limit: nanoOf(money), currency: used.currency, resetsAt: budget.resets_at }];
  });
  return all.sort((a, b) => shareOf(b) - shareOf(a))[0];
}

/** The used part of a limit. A limit of 0 is used up before the first request. */
function shareOf({ used, limit }: { used: number; limit: number }): number {
  return limit === 0 ? Math.max(1, used) : used / limit;
}

function isCost(amount: Schemas["BudgetAmount"] | null | undefined): amount is Schemas["Cost"] {
  return typeof amount === "object" && amount !== null;
}

/** The part of a period that has passed; a month begins at midnight UTC of its first day. */
export function passedOf(resetsAt: string, per: string, now: Date): number {
  const end = new Date(resetsAt);
  const start = per !== "month" ? end.getTime() - lengthMs(per) : Date.UTC(end.getUTCFullYear(), end.getUTCMonth() - 1, 1);
  return Math.min(1, Math.max(0, (now.getTime() - start) / (end.getTime() - start)));
}

/** Quota and budgets: how much is used, and how much of the period has passed. */
export function Limits({ overview }: { overview: Overview | undefined }) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  if (!overview) return <LimitsSkeleton />;
  const { quota, plan, today, month, budgets } = overview;
  const [daily, monthly] = [moneyBudget(budgets, "day"), moneyBudget(budgets, "month")];
  const creditText = (value: number): string => format.count(Math.round(value));
  return (
    <section className="panel meters" aria-label={t.overview.limits}>
      {quota && plan && <Limit
        title={t.overview.credits}
        note={<span className="tag">{plan.name}</span>}
        value={format.count(quota.used)}
        none={t.overview.noQuota}
        calls={t.overview.calls(format.count(today.requests))}
        text={creditText}
        limit={quota.limit === null || quota.limit === undefined ? undefined : { used: quota.used, limit: quota.limit, resetsAt: quota.resets_at, passed: passedOf(quota.resets_at, "day", now) }}
      />}
      <Spend title={t.overview.spendToday} figures={today} budget={daily} passed={daily && passedOf(daily.resetsAt, "day", now)} />
      <Spend title={t.overview.spendMonth(format.month(month.since))} figures={month} budget={monthly} passed={monthly && passedOf(monthly.resetsAt, "month", now)} />
    </section>
  );
}

interface SpendProps {
  title: string;
  figures: Schemas["UsageFigures"];
  budget: MoneyBudget | undefined;
  passed: number | undefined;
}

/** The spend is the known cost. Reservations are beside it, and the use of a budget, which has more, below. */
function Spend({ title, figures, budget, passed }: SpendProps) {
  const t = useMessages();
  const format = useFormat();
  const reserved = reservedOf(figures);
  const money = (nano: number): string => {
    const amount: Money = { amount_nano: Math.round(nano), currency: figures.cost.currency };
    return format.total(amount);
  };
  const unknown = format.count(figures.unpriced_requests);
  const calls = figures.unpriced_requests > 0 ? t.overview.unpriced(unknown) : t.overview.calls(format.count(figures.requests));
  return (
    <Limit
      title={title}
      value={format.total(figures.cost)}
      beside={reserved > 0 ? t.overview.reserved(money(reserved), unknown) : undefined}
      whose={budget && money(budget.used) !== format.total(figures.cost) ? t.overview.budgetOf[budget.dimension] : undefined}
      none={t.overview.noBudget}
      calls={calls}
      text={money}
      limit={budget && passed !== undefined ? { used: budget.used, limit: budget.limit, resetsAt: budget.resetsAt, passed } : undefined}
    />
  );
}

interface LimitProps {
  title: string;
  note?: ReactNode;
  value: string;
  /** What is not part of the value, but counted with it. */
  beside?: string | undefined;
  /** The name of the limit, if its use is another amount than the value. */
  whose?: string | undefined;
  /** The words in place of a limit that does not exist. */
  none: string;
  /** The line below in that case. */
  calls: string;
  text(value: number): string;
  limit: { used: number; limit: number; resetsAt: string; passed: number } | undefined;
}

function Limit({ title, note, value, beside, whose, none, calls, text, limit }: LimitProps) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const share = limit ? shareOf(limit) : 0;
  const over = limit ? limit.used - limit.limit : 0;
  const pace = limit && limit.passed >= PASSED_MIN ? limit.used / limit.passed : undefined;
  return (
    <div className="mt">
      <div className="row">
        <h2 className="md">{title}</h2>
        <span className="push">{note}</span>
      </div>
      <div className="row wrap items-baseline gap-x-2 gap-y-0.5">
        <span className="big">{value}</span>
        {beside && <span className="of num">{beside}</span>}
        {whose === undefined && <span className="of num">{limit ? t.overview.of(text(limit.limit)) : none}</span>}
      </div>
      {limit ? (
        <>
          <span title={t.overview.passed(format.percent(limit.passed))}>
            <Meter label={`${title}: ${format.percent(share)}`} share={share} passed={limit.passed} />
          </span>
          <div className="note num">
            {whose !== undefined && <span>{t.overview.usedOf(whose, text(limit.used), text(limit.limit))}</span>}
            {over > 0 ? (
              <span className="bad">{t.overview.overBy(text(over), format.left(limit.resetsAt, now))}</span>
            ) : (
              <span>{t.overview.left(text(-over), format.left(limit.resetsAt, now))}</span>
            )}
            {pace !== undefined && <span className={pace > limit.limit || share >= NEARLY ? "warn" : undefined}>{t.overview.pace(text(pace))}</span>}
          </div>
        </>
      ) : (
        <div className="note num">
          <span>{calls}</span>
        </div>
      )}
    </div>
  );
}

function LimitsSkeleton() {
  const t = useMessages();
  return (
    <section className="panel meters" aria-busy aria-label={t.overview.limits}>
      {[0, 1, 2].map((at) => (
        <div className="mt" key={at}>
          <div className="row">
            <i className="sk w-24" />
          </div>
          <i className="sk h-8 w-32" />
          <i className="sk mt-1 h-2 w-full" />
          <i className="sk w-40" />
        </div>
      ))}
    </section>
  );
}
