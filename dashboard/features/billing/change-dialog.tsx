"use client";

import { useRouter } from "next/navigation";

import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { Failure, SkeletonRows } from "@/components/ui/states";
import { type Subscription, useChangePreview, useSubscriptionChanges } from "@/features/billing/use-billing";
import { InvoiceLines } from "@/features/invoices/invoice-lines";
import { useFormat, useMessages } from "@/lib/language";

interface ChangeDialogProps {
  plan: string;
  subscription: Subscription;
  onClose(): void;
}

/** Shows what a change of the plan costs and when it applies, before it is made. The invoice of an upgrade is paid next. */
export function ChangeDialog({ plan, subscription, onClose }: ChangeDialogProps) {
  const t = useMessages();
  const format = useFormat();
  const router = useRouter();
  const { change } = useSubscriptionChanges();
  const isKept = plan === subscription.plan;
  const onSuccess = ({ invoice_id: invoice }: Subscription) => {
    if (invoice) router.push(`/dashboard/pay?id=${invoice}`);
    else onClose();
  };
  const action = isKept ? t.billing.keep(plan) : t.billing.changeTo(plan);
  return (
    <ConfirmDialog
      title={action}
      text={isKept ? t.billing.keepText(subscription.next_plan ?? "") : t.billing.changeText}
      action={action}
      look="primary"
      isBusy={change.isPending || change.isSuccess}
      error={change.error}
      onConfirm={() => change.mutate(plan, { onSuccess })}
      onClose={onClose}
    >
      {!isKept && <Preview plan={plan} subscription={subscription} day={format.utcFull} />}
    </ConfirmDialog>
  );
}

function Preview({ plan, subscription, day }: { plan: string; subscription: Subscription; day(date: string): string }) {
  const t = useMessages();
  const preview = useChangePreview(plan);
  if (preview.isPending) return <SkeletonRows rows={3} />;
  if (!preview.data) return <Failure error={preview.error} onRetry={() => void preview.refetch()} />;
  const { data } = preview;
  // An upgrade begins within the period, when its invoice is paid.
  const isLater = data.applies_on > subscription.period.last_day;
  return (
    <>
      <p className="t2 md">{isLater ? t.billing.appliesLater(day(data.applies_on)) : t.billing.appliesPaid}</p>
      <InvoiceLines invoice={{ ...data, currency: data.total.currency }} />
    </>
  );
}
