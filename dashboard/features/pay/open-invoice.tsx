"use client";

import { Button } from "@/components/ui/button";
import { Note } from "@/components/ui/note";
import type { Invoice } from "@/features/billing/use-billing";
import { Instructions } from "@/features/pay/instructions";
import { MethodChoice } from "@/features/pay/method-choice";
import { isPayable, isWaiting, shownPayment } from "@/features/pay/pay-state";
import { usePayment } from "@/features/pay/use-payment";
import { useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import { useClockDistance } from "@/lib/server-clock";
import { useUrlState } from "@/lib/url-state";

/** An invoice that is to be paid: the instructions of its payment, or the choice of a method. */
export function OpenInvoice({ invoice }: { invoice: Invoice }) {
  const t = useMessages();
  const { get, set } = useUrlState();
  const [now, distance] = [useNow(1_000), useClockDistance()];
  const payments = invoice.payments ?? [];
  const payment = usePayment(shownPayment(payments, get("payment"), now, distance));
  const canPay = payment !== undefined && isPayable(payment, now, distance);
  const isChoosing = get("choose") !== "" || !canPay;
  return (
    <section className="panel" aria-label={t.pay.how}>
      {payment && !canPay && <Ended title={isWaiting(payment) ? t.pay.over : (t.pay.ended[payment.reason ?? payment.state] ?? t.pay.ended.refused ?? "")} text={isWaiting(payment) || payment.reason === "expired" ? t.pay.overText : t.pay.endedText} />}
      {isChoosing && canPay && (
        <div className="p-4 pb-1">
          <Note title={t.pay.another}>
            <p>{t.pay.anotherText}</p>
            <p className="mt-2"><Button size="small" onClick={() => set({ choose: "" })}>{t.pay.back}</Button></p>
          </Note>
        </div>
      )}
      {isChoosing
        ? <MethodChoice invoice={invoice} onBegun={({ id }) => set({ payment: id, choose: "" })} />
        : <Instructions invoice={invoice} payment={payment} onOther={() => set({ choose: "1" })} />}
    </section>
  );
}

/** Why the last payment did not succeed. */
function Ended({ title, text }: { title: string; text: string }) {
  return (
    <div className="p-4 pb-1">
      <Note tone="warn" title={title}>{text}</Note>
    </div>
  );
}
