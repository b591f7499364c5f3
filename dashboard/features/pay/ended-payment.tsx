"use client";

import { Note } from "@/components/ui/note";
import type { Payment } from "@/features/billing/use-billing";
import { isWaiting } from "@/features/pay/pay-state";
import { useMessages } from "@/lib/language";

/** Why a payment did not succeed, or that its time is over. */
export function EndedPayment({ payment }: { payment: Payment }) {
  const t = useMessages();
  const isOver = isWaiting(payment);
  const title = isOver ? t.pay.over : (t.pay.ended[payment.reason ?? payment.state] ?? t.pay.ended.refused ?? "");
  // A payment that was taken back or refunded had been charged.
  const ended = payment.state === "failed" && t.pay.endedText;
  return (
    <div className="p-4 pb-1">
      <Note tone="warn" title={title}>{isOver || payment.reason === "expired" ? t.pay.overText : ended}</Note>
    </div>
  );
}
