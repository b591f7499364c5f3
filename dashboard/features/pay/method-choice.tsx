"use client";

import { ChevronRight, CreditCard, Landmark, QrCode, Wallet } from "lucide-react";

import { FailedNote } from "@/components/ui/failed-note";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import type { Payment } from "@/features/billing/use-billing";
import { bankName } from "@/features/invoices/payment-words";
import { type ChosenMethod, type Paying, useMethods } from "@/features/pay/use-payment";
import { useFormat, useMessages } from "@/lib/language";

const ICONS: Record<string, typeof QrCode> = { qris: QrCode, va: Landmark, card: CreditCard, wallet: Wallet };

interface MethodChoiceProps {
  /** The amount in rupiah. */
  amount: number;
  pay: Paying;
  /** The money in the wallet, which is offered if it pays the whole amount. */
  wallet?: number | undefined;
  onBegun(payment: Payment): void;
}

/** The methods whose limits fit the amount. The others are named with their limits. */
export function MethodChoice({ amount, pay, wallet = 0, onBegun }: MethodChoiceProps) {
  const t = useMessages();
  const format = useFormat();
  const methods = useMethods(amount);
  const choose = (chosen: ChosenMethod) => pay.mutate(chosen, { onSuccess: onBegun });
  const fromWallet: ChosenMethod[] = wallet >= amount ? [{ method: "wallet", bank: null }] : [];
  // The page knows the wallet itself: no top-up is paid from it.
  const channels = (methods.data ?? []).filter(({ method }) => method !== "wallet");
  const fitting = methods.data ? [...fromWallet, ...channels.filter(({ allowed }) => allowed)] : [];
  const others = channels.flatMap((of) => (of.allowed || !of.max ? [] : [{ ...of, max: of.max }]));
  const name = ({ method, bank }: ChosenMethod) => (bank ? bankName(bank, t) : (t.pay.methods[method] ?? method));
  return (
    <>
      <div className="ph"><h2 id="methods">{t.pay.choose}</h2></div>
      {pay.error && <div className="pad"><FailedNote title={t.pay.notBegun} error={pay.error} /></div>}
      {methods.isPending && <SkeletonRows rows={5} height={52} />}
      {methods.isError && !methods.data && <Failure error={methods.error} onRetry={() => void methods.refetch()} />}
      {methods.data && fitting.length === 0 && <Empty title={t.pay.noMethods}>{t.pay.noMethodsText}</Empty>}
      <ul className="methods" aria-labelledby="methods">
        {fitting.map((of) => {
          const Icon = ICONS[of.method] ?? Landmark;
          return (
            <li key={`${of.method} ${of.bank ?? ""}`}>
              <button type="button" disabled={pay.isPending} onClick={() => choose(of)}>
                <span className="badge"><Icon className="i" aria-hidden /></span>
                <span className="min-w-0">
                  <b className="med">{name(of)}</b>
                  <span className="sub">{t.pay.methodTexts[of.method]}</span>
                </span>
                <ChevronRight className="i push t3" aria-hidden />
              </button>
            </li>
          );
        })}
      </ul>
      {others.length > 0 && (
        <div className="pf">
          <span>{t.pay.notFitting(others.map((of) => t.pay.limits(name(of), format.bill(of.min), format.bill(of.max))).join(" · "))}</span>
        </div>
      )}
    </>
  );
}
