"use client";

import dynamic from "next/dynamic";

import { Empty } from "@/components/ui/states";
import { AdminInvoiceDrawer } from "@/features/billing-admin/admin-invoice-drawer";
import { BilledInvoices } from "@/features/billing-admin/billed-invoices";
import { OddPayments } from "@/features/billing-admin/odd-payments";
import { FinanceShell } from "@/features/frame/admin-shell";
import { useMessages } from "@/lib/language";
import { useMe, useSite } from "@/lib/queries";
import { useUrlState } from "@/lib/url-state";

const SellerPanel = dynamic(() => import("@/features/plans/seller-panel").then((module) => module.SellerPanel));

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
  if (!site) return null;
  if (!site.billing && !isAdmin) return <section className="panel"><Empty title={t.billing.off}>{t.billingAdmin.offText}</Empty></section>;
  const settings = isAdmin && (
    <section className="panel" aria-labelledby="seller">
      <div className="ph"><h2 id="seller">{site.billing ? t.plans.sellerTitle : t.plans.turnOnTitle}</h2></div>
      <div className="pb stack"><SellerPanel /></div>
    </section>
  );
  if (!site.billing) return settings;
  return (
    <>
      <OddPayments onOpen={(invoice) => set({ id: invoice })} />
      <BilledInvoices openId={id} onOpen={(invoice) => set({ id: invoice })} />
      {settings}
      {id !== "" && <AdminInvoiceDrawer key={id} id={id} onClose={() => set({ id: "" })} />}
    </>
  );
}
