"use client";

import { Button } from "@/components/ui/button";
import { Note } from "@/components/ui/note";
import { type Invoice, useWallet } from "@/features/billing/use-billing";
import { EndedPayment } from "@/features/pay/ended-payment";
import { Instructions } from "@/features/pay/instructions";
import { MethodChoice } from "@/features/pay/method-choice";
import { isPayable, shownPayment } from "@/features/pay/pay-state";
import { usePay, usePayment } from "@/features/pay/use-payment";
import { useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import { useClockDistance } from "@/lib/server-clock";
import { useUrlState } from "@/lib/url-state";

/** An invoice that is to be paid: the instructions of its payment, or the choice of a method. */
export function OpenInvoice({ invoice }: { invoice: Invoice }) {
  const t = useMessages();
  const { get, set } = useUrlState();
  const [now, distance] = [useNow(1_000), useClockDistance()];
  const wallet = useWallet().data?.balance;
  const payments = invoice.payments ?? [];
  const pay = usePay(invoice.id);
  const payment = usePayment(shownPayment(payments, get("payment"), now, distance));
  const canPay = payment !== undefined && isPayable(payment, now, distance);
  const isChoosing = get("choose") !== "" || !canPay;
  return (
    <section className="panel" aria-label={t.pay.how}>
      {payment && !canPay && <EndedPayment payment={payment} />}
      {isChoosing && canPay && (
        <div className="p-4 pb-1">
          <Note title={t.pay.another}>
            <p>{t.pay.anotherText}</p>
            <p className="mt-2"><Button size="small" onClick={() => set({ choose: "" })}>{t.pay.back}</Button></p>
          </Note>
        </div>
      )}
      {isChoosing
        ? <MethodChoice amount={invoice.remaining.amount} pay={pay} wallet={wallet?.amount} onBegun={({ id }) => set({ payment: id, choose: "" })} />
        : <Instructions payment={payment} pay={pay} onOther={() => set({ choose: "1" })} />}
    </section>
  );
}
