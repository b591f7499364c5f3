"use client";

import { ExternalLink, RotateCw } from "lucide-react";
import dynamic from "next/dynamic";

import { Button, buttonClass } from "@/components/ui/button";
import { CopyButton } from "@/components/ui/copy-button";
import { FailedNote } from "@/components/ui/failed-note";
import { Note } from "@/components/ui/note";
import type { Payment } from "@/features/billing/use-billing";
import { bankName, methodText } from "@/features/invoices/payment-words";
import { hasInstructions, secondsLeft } from "@/features/pay/pay-state";
import { type ChosenMethod, type Paying, useStubPayment } from "@/features/pay/use-payment";
import { countdown } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import { useSite } from "@/lib/queries";
import { useClockDistance } from "@/lib/server-clock";

/** Seconds below which the remaining time is counted in seconds. */
const HOUR_S = 3_600;

const QrCode = dynamic(() => import("@/features/pay/qr-code").then((module) => module.QrCode));

interface InstructionsProps {
  payment: Payment;
  /** Sends the payment again, if the provider did not respond. */
  pay: Paying;
  onOther(): void;
}

/** How to pay, and until when. */
export function Instructions({ payment, pay, onOther }: InstructionsProps) {
  const t = useMessages();
  const isStub = useSite().data?.payments_stub === true;
  return (
    <>
      <div className="ph flex-wrap">
        <h2 id="instructions">{methodText(payment, t)}</h2>
        <Button size="small" className="push" onClick={onOther}>{t.pay.other}</Button>
      </div>
      <div className="pay-how">
        {hasInstructions(payment) ? <Steps payment={payment} /> : <Unanswered payment={payment} pay={pay} />}
        {isStub && (payment.qr_text ?? payment.va) && <StubPayment payment={payment} />}
        <Waiting payment={payment} />
      </div>
    </>
  );
}

/** Plays the customer of the stub, who pays at once. */
function StubPayment({ payment }: Pick<InstructionsProps, "payment">) {
  const t = useMessages();
  const play = useStubPayment(payment.id);
  return (
    <div className="stack">
      <FailedNote error={play.error} />
      <p className="row wrap">
        <Button look="primary" disabled={play.isPending} onClick={() => play.mutate()}>{t.pay.payByStub}</Button>
        <span className="t2">{t.pay.payByStubText}</span>
      </p>
    </div>
  );
}

function Steps({ payment }: Pick<InstructionsProps, "payment">) {
  const t = useMessages();
  const format = useFormat();
  const { qr_text: qr, va, redirect_url: page } = payment;
  const amount = format.bill(payment.amount);
  if (qr) {
    return (
      <>
        <QrCode text={qr} label={t.pay.qrLabel(amount)} file={`qris-${payment.order_id}.png`} />
        <StepList steps={t.pay.qrSteps(amount)} />
      </>
    );
  }
  if (va) {
    const rows: [string, string, string][] = [
      ...(va.biller_code ? ([[t.pay.billerCode, va.biller_code, va.biller_code]] as [string, string, string][]) : []),
      [va.biller_code ? t.pay.billKey : t.pay.accountNumber, grouped(va.number), va.number],
      [t.invoices.amount, amount, String(payment.amount.amount)],
    ];
    return (
      <>
        <dl className="account">
          {rows.map(([name, shown, copied]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd className="num">{shown}</dd>
              <dd><CopyButton text={copied} what={name} withWord look="plain" /></dd>
            </div>
          ))}
        </dl>
        <StepList steps={t.pay.vaSteps(bankName(va.bank, t), amount)} />
      </>
    );
  }
  return (
    <>
      <p>{t.pay.cardText(amount)}</p>
      <p>
        <a className={buttonClass({ look: "primary", size: "large" })} href={page ?? ""} target="_blank" rel="noopener noreferrer">
          <ExternalLink className="i" aria-hidden />
          {t.pay.openCard}
        </a>
      </p>
    </>
  );
}

function StepList({ steps }: { steps: readonly string[] }) {
  return (
    <ol className="steps-l">
      {steps.map((step) => <li key={step}>{step}</li>)}
    </ol>
  );
}

/** Account numbers are read aloud and typed in groups of four. */
function grouped(number: string): string {
  return number.replaceAll(/(.{4})(?=.)/g, "$1 ");
}

/** The provider has not responded to the charge: the same order is sent again. */
function Unanswered({ payment, pay }: Omit<InstructionsProps, "onOther">) {
  const t = useMessages();
  const again: ChosenMethod = { method: payment.method, bank: payment.va?.bank };
  return (
    <>
      <Note tone="warn" title={t.pay.unanswered}>{t.pay.unansweredText}</Note>
      <FailedNote title={t.pay.notBegun} error={pay.error} />
      {payment.method !== "va" && (
        <p>
          <Button look="primary" disabled={pay.isPending} onClick={() => pay.mutate(again)}>
            <RotateCw className="i s" aria-hidden />
            {t.errors.retry}
          </Button>
        </p>
      )}
    </>
  );
}

function Waiting({ payment }: { payment: Payment }) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow(1_000);
  const distance = useClockDistance();
  const left = secondsLeft(payment, now, distance);
  const remaining = left < HOUR_S ? countdown(left) : format.left(payment.expires_at, new Date(now.getTime() - distance));
  return (
    <p className="waits">
      <i className="dot live" aria-hidden />
      <span role="status">{payment.state === "held" ? t.pay.held : t.pay.waits}</span>
      <span className="t3 push num nowrap">
        {t.pay.until(format.moment(payment.expires_at))} · <span role="timer">{t.pay.left(remaining)}</span>
      </span>
    </p>
  );
}
