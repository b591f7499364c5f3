"use client";

import { z } from "zod";

import { FormDialog } from "@/components/ui/form-dialog";
import { Note } from "@/components/ui/note";
import { SelectField } from "@/components/ui/select-field";
import { useReplays } from "@/features/webhooks/use-webhooks";
import { useForm } from "@/lib/form";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";

const HOUR_MS = 3_600_000;
/** The hours since which failed deliveries are sent again. Deliveries are kept for 30 days. */
const HOURS = ["1", "24", "168", "720"] as const;

/** Sends the failed deliveries of some hours or days again. */
export function ReplayDialog({ id, onClose }: { id: string; onClose(): void }) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const { failed } = useReplays(id);
  const form = useForm(z.object({ hours: z.string() }), { hours: "24" }, ({ hours }) =>
    failed.mutateAsync(new Date(Number(now) - Number(hours) * HOUR_MS)).then(() => undefined, () => undefined));
  return (
    <FormDialog title={t.webhooks.replayFailed} text={t.webhooks.replayText} action={t.webhooks.replayAction} isBusy={form.busy} error={failed.error} onSubmit={form.submit} onClose={onClose}>
      <SelectField label={t.webhooks.since} options={HOURS.map((hours) => [hours, t.webhooks.sinceHours[hours]] as const)} {...form.field("hours")} />
      {failed.data && <Note tone="ok" title={t.webhooks.replayed(format.count(failed.data.replayed), failed.data.replayed)} />}
    </FormDialog>
  );
}
