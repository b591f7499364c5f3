"use client";

import { LinesTable } from "@/components/ui/lines-table";
import { Note } from "@/components/ui/note";
import type { Configuration } from "@/features/configuration/use-configuration";
import { useFormat, useMessages } from "@/lib/language";

type Settings = Configuration["settings"];
type Fraction = readonly [bigint, bigint];

/** A share as the configuration has it: `12%`, `11/12`. */
export function fractionOf(text: string): Fraction | undefined {
  const percent = /^(\d+)(?:\.(\d+))?%$/.exec(text);
  if (percent) return [BigInt(`${percent[1] ?? ""}${percent[2] ?? ""}`), 100n * 10n ** BigInt(percent[2]?.length ?? 0)];
  const parts = /^(\d+)\/([1-9]\d*)$/.exec(text);
  return parts ? [BigInt(parts[1] ?? 0), BigInt(parts[2] ?? 1)] : undefined;
}

function share(amount: bigint, [numerator, denominator]: Fraction): bigint {
  return (2n * amount * numerator + denominator) / (2n * denominator);
}

interface Tax {
  name: string;
  rate: string;
  base: bigint;
  amount: bigint;
}

/** The tax on a subtotal, as an invoice of this day has it: base and tax are each rounded half up. */
export function taxOn(subtotal: bigint, settings: Settings, day: string): Tax | undefined {
  const value = (key: string): string => String(settings.find((setting) => setting.key === `billing.tax.${key}`)?.value ?? "");
  const [rate, base] = [fractionOf(value("rate")), fractionOf(value("base") || "1/1")];
  if (!rate || !base || value("from") > day) return undefined;
  const taxed = share(subtotal, base);
  return { name: value("name"), rate: value("rate"), base: taxed, amount: share(taxed, rate) };
}

interface InvoicePreviewProps {
  plan: string;
  /** The price in rupiah, or in billionths of a dollar. */
  amount: bigint;
  currency: string;
  interval: "month" | "year";
  settings: Settings;
  now: Date;
}

/** The first invoice of a new subscriber, without a trial: the price of a period, and its tax. */
export function InvoicePreview({ plan, amount, currency, interval, settings, now }: InvoicePreviewProps) {
  const t = useMessages();
  const format = useFormat();
  const money = (units: bigint): string => format.bill({ amount: Number(units), currency } as Parameters<typeof format.bill>[0]);
  const tax = taxOn(amount, settings, now.toISOString().slice(0, "2026-01-01".length));
  const seller = settings.find(({ key }) => key === "billing.seller.name")?.value;
  const taxes = tax ? [{ name: "tax", cells: [`${tax.name} ${tax.rate} ${t.invoices.taxBase(money(tax.base))}`, money(tax.amount)] }] : [];
  return (
    <section className="stack" aria-label={t.plans.preview}>
      <h3 className="m-0">{t.plans.preview}</h3>
      {!seller && <Note title={t.plans.noSeller} />}
      {typeof seller === "string" && <p className="t2 md m-0">{t.plans.from(seller)}</p>}
      <LinesTable heads={[t.invoices.line, t.invoices.amount]} rows={[{ name: "plan", cells: [t.plans.previewLine(plan, t.plans.intervals[interval]), money(amount)] }, ...taxes]} total={[t.invoices.total, money(amount + (tax?.amount ?? 0n))]} />
    </section>
  );
}
