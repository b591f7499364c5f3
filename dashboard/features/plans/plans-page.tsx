"use client";

import { type ColumnDef, createColumnHelper } from "@tanstack/react-table";
import { Pencil, Plus } from "lucide-react";
import dynamic from "next/dynamic";
import Link from "next/link";
import { useMemo } from "react";

import { Button } from "@/components/ui/button";
import { DataTable } from "@/components/ui/data-table";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { AdminShell } from "@/features/frame/admin-shell";
import { chargeText } from "@/features/billing/billing-words";
import { PlanConfiguration } from "@/features/plans/plan-configuration";
import { PlanDifferences } from "@/features/plans/plan-differences";
import { budgetText } from "@/features/plans/plan-words";
import { type Plan, usePlans } from "@/features/plans/use-plans";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useLater } from "@/lib/later";
import { useSite } from "@/lib/queries";
import { useUrlState } from "@/lib/url-state";

const dialog = () => import("@/features/plans/plan-dialog");
const PlanDialog = dynamic(() => dialog().then((module) => module.PlanDialog));
const SellerPanel = dynamic(() => import("@/features/plans/seller-panel").then((module) => module.SellerPanel));
const PriceDialog = dynamic(() => import("@/features/plans/price-dialog").then((module) => module.PriceDialog));

const column = createColumnHelper<Plan>();

/** The plans: what each user of a plan may use. */
export function PlansPage() {
  const t = useMessages();
  const { get, set } = useUrlState();
  const plans = usePlans();
  const site = useSite().data;
  useLater(dialog);
  const edited = plans.data?.find(({ name }) => name === get("edit"));
  const priced = plans.data?.find(({ name }) => name === get("price"));
  const isNew = get("new") !== "";
  const create = (
    <Button look="primary" onClick={() => set({ new: "1" })}>
      <Plus className="i" aria-hidden />
      {t.plans.create}
    </Button>
  );
  const close = () => set({ new: "", edit: "", price: "" });
  return (
    <AdminShell page="plans" actions={create}>
      <PlanDifferences />
      <PlanList onEdit={(plan) => set({ edit: plan.name })} onPrice={(plan) => set({ price: plan.name })} />
      <PlanConfiguration />
      {site && (
        <section className="panel" aria-labelledby="seller">
          <div className="ph"><h2 id="seller">{site.billing ? t.plans.sellerTitle : t.plans.turnOnTitle}</h2></div>
          <div className="pb stack"><SellerPanel /></div>
        </section>
      )}
      {isNew && <PlanDialog plan={undefined} onClose={close} />}
      {edited && !isNew && <PlanDialog key={edited.name} plan={edited} onClose={close} />}
      {priced && !isNew && !edited && <PriceDialog key={priced.name} plan={priced} plans={plans.data ?? []} onClose={close} />}
    </AdminShell>
  );
}

/** The price of a plan with its period, its trial and its charges. */
function PriceCell({ plan }: { plan: Plan }) {
  const t = useMessages();
  const format = useFormat();
  if (!plan.price) return <span className="t3">{t.plans.notForSale}</span>;
  const charges = (plan.charges ?? []).map((charge) => `${charge.name}: ${chargeText(charge, plan.price?.currency ?? "", t, format)}`);
  const notes = [plan.trial_days ? t.billing.trial(plan.trial_days) : "", ...charges].filter((note) => note !== "").join(" · ");
  return (
    <span title={notes || undefined}>
      <span className="num">{t.plans.priceOf(format.bill(plan.price), t.plans.intervals[plan.interval === "year" ? "year" : "month"])}</span>
      {notes && <span className="sub">{notes}</span>}
    </span>
  );
}

function PlanList({ onEdit, onPrice }: { onEdit(plan: Plan): void; onPrice(plan: Plan): void }) {
  const t = useMessages();
  const format = useFormat();
  const plans = usePlans();
  const columns = useMemo((): ColumnDef<Plan>[] => [
    column.display({ id: "name", header: t.plans.name, meta: { className: "grow med" }, cell: ({ row: { original } }) => <span title={`${original.name} · ${t.plans.changed} ${format.moment(original.updated_at)}`}>{original.name}</span> }),
    column.display({
      id: "quota",
      header: t.plans.quota,
      meta: { className: "r x5" },
      cell: ({ row: { original } }) => original.credits_per_day === null || original.credits_per_day === undefined ? <span className="t3">{t.keys.noLimit}</span> : format.count(original.credits_per_day),
    }),
    column.display({ id: "price", header: t.plans.price, meta: { className: "x4 cut tight" }, cell: ({ row: { original } }) => <PriceCell plan={original} /> }),
    column.display({
      id: "rate",
      header: t.plans.rate,
      meta: { className: "r x3" },
      cell: ({ row: { original } }) => original.requests_per_minute ? format.count(original.requests_per_minute) : <span className="t3">{t.keys.noLimit}</span>,
    }),
    column.display({
      id: "budgets",
      header: t.plans.budgets,
      meta: { className: "x2 t2 cut tight" },
      cell: ({ row: { original } }) => {
        const text = original.budgets.map((budget) => budgetText(budget, t, format)).join(" · ");
        return text === "" ? NONE : <span title={text}>{text}</span>;
      },
    }),
    column.display({
      id: "shared",
      header: t.plans.sharedColumn,
      meta: { className: "x0 t2" },
      cell: ({ row: { original } }) => (original.shared_keys ? t.plans.allowed : t.plans.notAllowed),
    }),
    column.display({
      id: "users",
      header: t.scope.users,
      meta: { className: "r x4" },
      cell: ({ row: { original } }) => <Link className="hover:underline" title={t.scope.showUsage(original.name)} href={`/dashboard/overview?scope=plan:${original.name}`}>{format.count(original.users ?? 0)}</Link>,
    }),
    column.display({
      id: "actions",
      header: () => <span className="vh">{t.users.actions}</span>,
      meta: { className: "r" },
      cell: ({ row: { original } }) => (
        <span className="row justify-end">
          <Button size="small" aria-label={t.plans.priceTitle(original.name)} onClick={() => onPrice(original)}>{t.plans.editPrice}</Button>
          <Button size="small" aria-label={t.plans.editTitle(original.name)} onClick={() => onEdit(original)}>
            <Pencil className="i s" aria-hidden />
            {t.plans.edit}
          </Button>
        </span>
      ),
    }),
  ], [t, format, onEdit, onPrice]);
  return (
    <section className="panel" aria-label={t.frame.plans}>
      {plans.isError && !plans.data && <Failure error={plans.error} onRetry={() => void plans.refetch()} />}
      {plans.isPending && <SkeletonRows rows={4} height={52} />}
      {plans.data?.length === 0 && <Empty title={t.plans.none}>{t.plans.noneText}</Empty>}
      {plans.data && plans.data.length > 0 && (
        <>
          <DataTable label={t.frame.plans} rows={plans.data} columns={columns} rowHeight={52} rowId={({ id }) => id} />
          <div className="pf">
            <span>{t.plans.note}</span>
          </div>
        </>
      )}
    </section>
  );
}
