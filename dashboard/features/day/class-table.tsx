"use client";

import { Rows } from "@/features/day/rows";
import { type Brief, useClasses } from "@/features/day/use-day";
import { useFormat, useMessages } from "@/lib/language";

interface ClassTableProps {
  brief: Brief;
  label: string;
  isToday: boolean;
}

/** The classes of a day. Those of today have their share, their cost and the rule that decided most of their requests. */
export function ClassTable({ brief, label, isToday }: ClassTableProps) {
  const t = useMessages();
  const format = useFormat();
  const today = useClasses(label, isToday);
  const name = (of: string) => t.day.classNames[of] ?? of;
  if (!isToday || !today.data) {
    return <Rows label={t.day.classes} head={[t.day.class, t.day.requests]} rows={brief.classes.map((of) => [name(of.class), format.count(of.requests)])} />;
  }
  return (
    <Rows
      label={t.day.classes}
      head={[t.day.class, t.day.requests, t.day.share, t.day.tokens, t.day.cost, t.day.rule]}
      narrow={["", "x4", "x3", "", "x3"]}
      rows={today.data.classes.map((of) => [
        name(of.class), format.count(of.requests), format.percent(of.share), format.count(of.tokens), format.exact(of.cost),
        t.day.decided(name(of.rule), format.percent(of.confidence, 0)),
      ])}
    />
  );
}
