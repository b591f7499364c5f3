"use client";

import dynamic from "next/dynamic";
import Link from "next/link";
import { useState } from "react";

import { Button } from "@/components/ui/button";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { useWallet } from "@/features/billing/use-billing";
import { useFormat, useMessages } from "@/lib/language";
import { useLater } from "@/lib/later";

const topUpDialog = () => import("@/features/billing/top-up-dialog");
const TopUpDialog = dynamic(() => topUpDialog().then((module) => module.TopUpDialog));

/** The newest changes of the wallet, and a payment into it. */
export function WalletPanel() {
  const t = useMessages();
  const format = useFormat();
  const wallet = useWallet();
  useLater(topUpDialog);
  const [isAsked, setAsked] = useState(false);
  const entries = wallet.data?.entries ?? [];
  return (
    <section className="panel" aria-labelledby="wallet">
      <div className="ph">
        <h2 id="wallet">{t.billing.wallet}</h2>
        {wallet.data && <b className="num">{format.bill(wallet.data.balance)}</b>}
        <Button size="small" className="push" onClick={() => setAsked(true)}>{t.billing.topUp}</Button>
      </div>
      {wallet.isPending && <SkeletonRows rows={2} />}
      {wallet.isError && !wallet.data && <Failure error={wallet.error} onRetry={() => void wallet.refetch()} />}
      {wallet.data && entries.length === 0 && <Empty title={t.billing.walletNone}>{t.billing.walletNoneText}</Empty>}
      {entries.length > 0 && (
        <div className="tw">
          <table className="tbl" aria-labelledby="wallet">
            <thead>
              <tr>
                <th>{t.billing.time}</th>
                <th className="grow">{t.billing.entry}</th>
                <th className="r">{t.invoices.amount}</th>
              </tr>
            </thead>
            <tbody>
              {entries.map((entry) => (
                <tr key={`${entry.at} ${entry.reason} ${entry.invoice_id ?? entry.payment_id ?? ""}`}>
                  <td className="num t2">{format.day(entry.at)}</td>
                  <td className="grow">{entry.invoice_id ? <Link className="hover:underline" href={`/dashboard/invoices?id=${entry.invoice_id}`}>{reasonOf(entry.reason)}</Link> : reasonOf(entry.reason)}</td>
                  <td className="r">{format.bill(entry.amount)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {isAsked && <TopUpDialog onClose={() => setAsked(false)} />}
    </section>
  );

  function reasonOf(reason: string): string {
    return t.billing.entries[reason] ?? reason;
  }
}
