"use client";

import Link from "next/link";

import { buttonClass } from "@/components/ui/button";
import { Empty } from "@/components/ui/states";
import { AdminInvoiceDrawer } from "@/features/billing-admin/admin-invoice-drawer";
import { BilledInvoices } from "@/features/billing-admin/billed-invoices";
import { OddPayments } from "@/features/billing-admin/odd-payments";
import { FinanceShell } from "@/features/frame/admin-shell";
import { useMessages } from "@/lib/language";
import { useMe, useSite } from "@/lib/queries";
import { useUrlState } from "@/lib/url-state";

/** The invoices of all users: what waits for finance, what is not paid, and payments that need a look. */
export function BillingAdminPage() {
  return (
    <FinanceShell page="billingAdmin">
      <Content />
    </FinanceShell>
  );
}

function Content() {
  const t = useMessages();
  const { get, set } = useUrlState();
  const site = useSite().data;
  const isAdmin = useMe().data?.acts_as === "admin";
  const id = get("id");
  const settings = isAdmin && <Link className={buttonClass({ look: "primary" })} href="/dashboard/configuration">{t.frame.configuration}</Link>;
  if (site && !site.billing) return <section className="panel"><Empty title={t.billing.off} action={settings}>{t.billingAdmin.offText}</Empty></section>;
  if (!site) return null;
  return (
    <>
      <OddPayments onOpen={(invoice) => set({ id: invoice })} />
      <BilledInvoices openId={id} onOpen={(invoice) => set({ id: invoice })} />
      {id !== "" && <AdminInvoiceDrawer key={id} id={id} onClose={() => set({ id: "" })} />}
    </>
  );
}
