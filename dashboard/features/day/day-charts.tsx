"use client";

import { Failure, SkeletonRows } from "@/components/ui/states";
import { useCharts } from "@/features/day/use-day";
import { useIsDark } from "@/lib/is-dark";
import { useMessages } from "@/lib/language";

/** The charts of a day. The tables of the page have the same figures, so phones, which would shrink the text, have no charts. */
export function DayCharts({ id }: { id: string }) {
  const t = useMessages();
  const charts = useCharts(id, useIsDark());
  if (charts.isPending) return <SkeletonRows rows={2} />;
  if (!charts.data) return <Failure error={charts.error} onRetry={() => void charts.refetch()} />;
  return (
    <div className="grid gap-4 pad sm:grid-cols-2 max-sm:hidden">
      {charts.data.assets.map((of) => (
        // eslint-disable-next-line @next/next/no-img-element -- the picture is part of the response
        <img key={of.name} className="w-full" alt={t.day.chartNames[of.name] ?? of.name} src={`data:image/svg+xml,${encodeURIComponent(of.data)}`} />
      ))}
    </div>
  );
}
