import clsx from "clsx";

import type { Health } from "@/features/upstreams/use-upstreams";
import { useFormat, useMessages } from "@/lib/language";
import type { Rate } from "@/lib/rates";
import type { Messages } from "@/messages/en";

/** The requests per second, and below them the failed ones, if there are any. */
export function RateCell({ rate }: { rate: Rate | undefined }) {
  const t = useMessages();
  const format = useFormat();
  return (
    <td className="r num x4">
      {format.perSecond(rate?.requests)}
      {rate !== undefined && rate.failed > 0 && <span className="sub bad">{t.upstreams.failing(format.perSecond(rate.failed))}</span>}
    </td>
  );
}

/** The health of an upstream: a dot, whose meaning {@link healthText} has in words. */
export function HealthDot({ health: { mark } }: { health: Health }) {
  return <i className={clsx("dot", mark)} aria-hidden />;
}

/** The health of an upstream in words. */
export function healthText({ mark, available, all }: Health, t: Messages, count: (value: number) => string): string {
  if (all === 0) return t.upstreams.drained;
  return mark === "unknown" ? t.upstreams.unused : t.upstreams.available(count(available), count(all));
}
