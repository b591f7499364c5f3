"use client";

import Link from "next/link";

import type { Invoice } from "@/features/billing/use-billing";
import { useFormat, useMessages } from "@/lib/language";

type Notes = NonNullable<Invoice["credit_notes"]>;

/** The credit notes of an invoice, which the same page opens; nothing without one. */
export function CreditNotes({ notes, page }: { notes: Notes; page: "invoices" | "billing-admin" }) {
  const t = useMessages();
  const format = useFormat();
  if (notes.length === 0) return null;
  return (
    <section>
      <h3>{t.invoices.creditNotes}</h3>
      <ul className="payments">
        {notes.map((note) => (
          <li key={note.id}>
            <Link className="link" href={`/dashboard/${page}?id=${note.id}`}>{note.number ?? t.invoices.noNumber}</Link>
            <span className="num nowrap">{format.bill(note.total)}</span>
            <span className="sub"><bdi>{note.reason}</bdi></span>
          </li>
        ))}
      </ul>
    </section>
  );
}
