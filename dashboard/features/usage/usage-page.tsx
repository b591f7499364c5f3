"use client";

import { Download } from "lucide-react";

import { Button } from "@/components/ui/button";
import { Segments } from "@/components/ui/tabs";
import { Shell } from "@/features/frame/shell";
import { Days, type Measure } from "@/features/overview/days";
import { daysAsCsv, save } from "@/features/usage/csv";
import { RequestDrawer } from "@/features/usage/request-drawer";
import { Requests } from "@/features/usage/requests";
import { useMessages } from "@/lib/language";
import { useHistory } from "@/lib/queries";
import { useUrlState } from "@/lib/url-state";

const RANGES = ["7", "14", "30", "90"] as const;
const MEASURES: readonly Measure[] = ["spend", "requests", "tokens"];

/** What used the money, and why a request cost what it cost or failed. */
export function UsagePage() {
  const t = useMessages();
  const { get, set } = useUrlState();
  const range = RANGES.find((days) => days === get("days")) ?? "14";
  const measure = MEASURES.find((name) => name === get("measure")) ?? "spend";
  const history = useHistory(Number(range));
  const names: Record<Measure, string> = { spend: t.overview.spend, requests: t.overview.requests, tokens: t.overview.tokens };
  const open = get("id");
  return (
    <Shell page="usage">
      <div className="row wrap">
        <Segments label={t.usage.range} value={range} onChange={(days) => set({ days: days === "14" ? "" : days })} options={RANGES.map((days) => ({ name: days, label: t.usage.ranges[days] }))} />
        <Button className="push" disabled={!history.data} onClick={() => history.data && save(`usage-${range}-days.csv`, daysAsCsv(history.data.days))}>
          <Download className="i" aria-hidden />
          {t.usage.csv}
        </Button>
      </div>
      <section className="panel" aria-label={t.usage.perDay(names[measure])}>
        <div className="ph">
          <Segments label={t.usage.measure} value={measure} onChange={(name) => set({ measure: name === "spend" ? "" : name })} options={MEASURES.map((name) => ({ name, label: names[name] }))} />
        </div>
        <Days days={Number(range)} measure={measure} heading={t.usage.perDay(names[measure])} />
      </section>
      <Requests openId={open} onOpen={(id) => set({ id })} />
      {open !== "" && <RequestDrawer key={open} id={open} onClose={() => set({ id: "" })} />}
    </Shell>
  );
}
