"use client";

import Link from "next/link";

import { Failure, SkeletonRows } from "@/components/ui/states";
import { type Brief, useBrief } from "@/features/day/use-day";
import { type Format, NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import type { Messages } from "@/messages/en";

/** The figures that an approval is about, and the way to the day in full. */
export function ReviewedFigures({ id }: { id: string }) {
  const t = useMessages();
  const format = useFormat();
  const brief = useBrief(id);
  const [day = "", label = ""] = id.split("~");
  if (brief.isPending) return <SkeletonRows rows={3} />;
  if (!brief.data) return <Failure error={brief.error} onRetry={() => void brief.refetch()} />;
  const { spend } = brief.data;
  const facts: [string, string][] = [
    [t.day.cost, format.exact(spend.cost)],
    [t.review.usual, usualOf(brief.data, t, format)],
    [t.day.requests, format.count(spend.requests)],
    [t.day.tokens, format.count(spend.tokens)],
    [t.day.unpriced, format.count(spend.unpriced_requests)],
    [t.day.refused, format.count(spend.refused)],
    [t.day.ownCost, format.exact(spend.own_cost)],
  ];
  return (
    <>
      <dl className="dl wide pad" aria-label={t.review.figures}>
        {facts.map(([name, value]) => (
          <div key={name} className="contents">
            <dt>{name}</dt>
            <dd className="num">{value}</dd>
          </div>
        ))}
      </dl>
      <p className="pad"><Link className="link" href={`/dashboard/day?${new URLSearchParams({ day, ...(label && { label }) }).toString()}`}>{t.review.showDay}</Link></p>
    </>
  );
}

/** The difference of the cost to the same weekday of the week before. */
export function usualOf({ spend: { cost, same_weekday: before } }: Brief, t: Messages, format: Format): string {
  if (before.amount_nano === 0) return NONE;
  const difference = cost.amount_nano - before.amount_nano;
  const share = format.percent(Math.abs(difference) / before.amount_nano);
  const amount = format.exact({ amount_nano: Math.abs(difference), currency: cost.currency });
  return difference === 0 ? t.review.same : difference > 0 ? t.review.more(amount, share) : t.review.less(amount, share);
}
