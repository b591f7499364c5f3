"use client";

import { useState } from "react";

import { useMessages } from "@/lib/language";
import { PRESETS, type Period, localOf } from "@/lib/period";

const CUSTOM = "custom";

/** The choice of the time of a list: a preset, or two bounds in the reader's zone. */
export function PeriodFilter({ period, onChange }: { period: Period; onChange(changes: Record<string, string>): void }) {
  const t = useMessages();
  const hasBounds = period.since !== "" || period.until !== "";
  const choose = (name: string) => {
    if (name !== CUSTOM) onChange({ when: name, since: "", until: "" });
    else onChange({ when: "", since: new Date(new Date().setHours(0, 0, 0, 0)).toISOString(), until: "" });
  };
  return (
    <>
      <select className="in h-8 w-36" aria-label={t.requests.period} value={hasBounds ? CUSTOM : period.preset} onChange={(event) => choose(event.target.value)}>
        <option value="">{t.requests.anyTime}</option>
        {PRESETS.map((name) => <option key={name} value={name}>{t.requests.presets[name]}</option>)}
        <option value={CUSTOM}>{t.requests.custom}</option>
      </select>
      {hasBounds && (
        <>
          <Bound key={`since ${period.since}`} label={t.requests.since} value={period.since} onChange={(since) => onChange({ when: "", since })} />
          <Bound key={`until ${period.until}`} label={t.requests.until} value={period.until} onChange={(until) => onChange({ when: "", until })} />
        </>
      )}
    </>
  );
}

/** One bound; it applies when the reader leaves the field or presses Enter. */
function Bound({ label, value, onChange }: { label: string; value: string; onChange(value: string): void }) {
  const [text, setText] = useState(localOf(value));
  const apply = () => {
    const time = text === "" ? "" : new Date(text).toISOString();
    if (localOf(time) !== localOf(value)) onChange(time);
  };
  return (
    <label className="row gap-1.5">
      <span className="t3 sm">{label}</span>
      <input type="datetime-local" className="in num h-8 w-auto" value={text} onChange={(event) => setText(event.target.value)} onBlur={apply} onKeyDown={(event) => event.key === "Enter" && apply()} />
    </label>
  );
}
