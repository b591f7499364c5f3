"use client";

import type { Invoice } from "@/features/billing/use-billing";
import { type Format, NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";

type Line = NonNullable<Invoice["lines"]>[number];

/** The lines of an invoice in the order of printing, then the subtotal, the tax and the total. */
export function InvoiceLines({ invoice }: { invoice: Pick<Invoice, "lines" | "currency" | "subtotal" | "tax" | "total"> }) {
  const t = useMessages();
  const format = useFormat();
  const { tax } = invoice;
  return (
    <table className="lines bill-lines" aria-label={t.invoices.lines}>
      <thead>
        <tr>
          <th>{t.invoices.line}</th>
          <th>{t.invoices.amount}</th>
        </tr>
      </thead>
      <tbody>
        {(invoice.lines ?? []).map((line) => (
          <tr key={line.no}>
            <td>
              <bdi>{line.text}</bdi>
              <span className="sub">{lineNote(line, invoice.currency, format)}</span>
            </td>
            <td>{format.bill(line.amount)}</td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        {tax && (
          <>
            <tr className="part">
              <td>{t.invoices.subtotal}</td>
              <td>{format.bill(invoice.subtotal)}</td>
            </tr>
            <tr className="part">
              <td>
                <bdi>{tax.name}</bdi> {rateText(tax.rate, format)}
                <span className="sub">{t.invoices.taxBase(format.bill(tax.base))}</span>
              </td>
              <td>{format.bill(tax.amount)}</td>
            </tr>
          </>
        )}
        <tr>
          <td>{t.invoices.total}</td>
          <td>{format.bill(invoice.total)}</td>
        </tr>
      </tfoot>
    </table>
  );
}

function lineNote(line: Line, currency: string, format: Format): string {
  const days = `${format.utcDay(line.first_day)} – ${format.utcFull(line.last_day)}`;
  // A plan and its part of a period have no count.
  if (line.unit === "period") return days;
  const price = line.unit_price ? ` × ${format.unitPrice(line.unit_price, currency)}` : "";
  return `${format.whole(line.quantity)} ${line.unit}${price} · ${days}`;
}

/** The rate of a tax, which the API sends as a percentage such as `12.5%`. */
export function rateText(rate: string, format: Format): string {
  const percent = rate.endsWith("%") ? Number(rate.slice(0, -1)) : Number.NaN;
  if (Number.isNaN(percent)) return NONE;
  return format.percent(percent / 100, Number.isInteger(percent) ? 0 : 2);
}
