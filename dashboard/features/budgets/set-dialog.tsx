"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useDeferredValue, useState } from "react";
import { z } from "zod";

import { Field } from "@/components/ui/field";
import { FormDialog } from "@/components/ui/form-dialog";
import { SelectField } from "@/components/ui/select-field";
import { MEASURES, type Measure, PERIODS, amountPattern, bodyOf, measureOf, pathOf, ruleText, typedOf } from "@/features/budgets/budget-figures";
import { holderOf } from "@/features/budgets/budget-table";
import { type Budget, useBudgetChanges, useBudgets } from "@/features/budgets/use-budgets";
import { usePlans } from "@/features/plans/use-plans";
import { useUserByEmail, useUserKeys, userByEmail, userKeys } from "@/features/users/use-users";
import type { Schemas } from "@/lib/api";
import { useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";
import type { Messages } from "@/messages/en";

function amountError(measure: Measure, t: Messages): string {
  return measure === "money" ? t.budgets.moneyWrong : t.budgets.countWrong;
}

function measureNamed(text: string): Measure {
  return MEASURES.find((measure) => measure === text) ?? "money";
}

/** Changes the amount of a budget. */
export function ChangeDialog({ budget, onClose }: { budget: Budget; onClose(): void }) {
  const t = useMessages();
  const { set } = useBudgetChanges();
  const measure = measureOf(budget);
  const shape = z.object({ amount: z.string().trim().regex(amountPattern(measure), amountError(measure, t)) });
  const form = useForm(shape, { amount: typedOf(budget) }, async ({ amount }) => {
    await set.mutateAsync({ path: pathOf(budget), body: bodyOf(measure, amount) }).then(onClose, () => undefined);
  });
  return (
    <FormDialog title={t.budgets.changeTitle(holderOf(budget, t))} text={t.budgets.setText} action={t.budgets.save} isBusy={form.busy} error={set.error} onSubmit={form.submit} onClose={onClose}>
      <Field
        label={ruleText(budget, t)}
        inputMode={measure === "money" ? "decimal" : "numeric"}
        autoFocus
        {...(measure === "money" && { suffix: "USD" })}
        {...form.field("amount")}
      />
    </FormDialog>
  );
}

interface SetDialogProps {
  /** The holder that another page proposes. */
  proposed: { dimension: string; email: string };
  onClose(): void;
}

const DIMENSIONS = ["user", "key", "plan", "global"] as const;

type Fields = Record<"dimension" | "email" | "key" | "plan" | "measure" | "per" | "amount", string>;

function isOfUser(dimension: string): boolean {
  return dimension === "user" || dimension === "key";
}

function setShape(t: Messages): z.ZodType<Fields, Fields> {
  const text = z.string().trim();
  return z
    .object({ dimension: text, email: text, key: text, plan: text, measure: text, per: text, amount: text })
    .superRefine((fields, context) => {
      const wrong = (path: string, message: string) => context.addIssue({ code: "custom", path: [path], message });
      if (isOfUser(fields.dimension) && !/^[^\s@]+@[^\s@]+$/.test(fields.email)) wrong("email", t.budgets.userMissing);
      if (fields.dimension === "key" && fields.key === "") wrong("key", t.budgets.keyMissing);
      if (fields.dimension === "plan" && fields.plan === "") wrong("plan", t.users.planMissing);
      const measure = measureNamed(fields.measure);
      if (!amountPattern(measure).test(fields.amount)) wrong("amount", amountError(measure, t));
    });
}

/** Sets a budget of a user, a key, a plan or everybody. */
export function SetDialog({ proposed, onClose }: SetDialogProps) {
  const t = useMessages();
  const client = useQueryClient();
  const { set } = useBudgetChanges();
  const [unknown, setUnknown] = useState<string>();
  // The chosen key, if the address is no longer that of its user.
  const [foreignKey, setForeignKey] = useState<string>();
  const plans = usePlans().data ?? [];
  const dimension = DIMENSIONS.find((name) => name === proposed.dimension) ?? "user";
  const initial: Fields = { dimension, email: proposed.email, key: "", plan: "", measure: "money", per: "month", amount: "" };
  const form = useForm(setShape(t), initial, async (fields) => {
    const send = async (): Promise<void> => {
      const found = isOfUser(fields.dimension) ? await client.fetchQuery(userByEmail(fields.email)) : undefined;
      if (found === null) return setUnknown(fields.email);
      if (found && fields.dimension === "key") {
        const { items } = await client.fetchQuery(userKeys(found.id));
        if (!items.some(({ id }) => id === fields.key)) return setForeignKey(fields.key);
      }
      const ids: Record<string, string> = { user: found?.id ?? "", key: fields.key, plan: fields.plan, global: "-" };
      const chosen = DIMENSIONS.find((name) => name === fields.dimension) ?? "user";
      const measure = measureNamed(fields.measure);
      const path = { dimension: chosen, id: ids[chosen] ?? "", measure, per: PERIODS.find((per) => per === fields.per) ?? "month" };
      await set.mutateAsync({ path, body: bodyOf(measure, fields.amount) });
      onClose();
    };
    // The mutation and the lookup keep their own errors.
    await send().catch(() => undefined);
  });
  const value = (name: keyof Fields): string => form.field(name).value;
  const email = useDeferredValue(value("email").trim());
  const user = useUserByEmail(isOfUser(value("dimension")) ? email : "");
  const listed = useUserKeys(value("dimension") === "key" ? (user.data?.id ?? "") : "");
  const keys = keyOptions(listed.data?.items ?? []);
  const key = keys.some(([id]) => id === value("key")) ? value("key") : "";
  const measure = measureNamed(value("measure"));
  const holders: Record<string, string | undefined> = {
    user: user.data?.id,
    key,
    plan: plans.find(({ name }) => name === value("plan"))?.id,
    global: "-",
  };
  const replaced = useBudgets().data?.items.find((budget) => {
    const { dimension: of, per, source } = budget;
    return source === "api" && of === value("dimension") && per === value("per") && measureOf(budget) === measure && budget.id === holders[of];
  });
  const isUnknown = value("email").trim() === unknown || user.data === null;
  return (
    <FormDialog title={t.budgets.set} text={t.budgets.setText} action={t.budgets.set} isBusy={form.busy} error={set.error ?? user.error ?? listed.error} onSubmit={form.submit} onClose={onClose}>
      <SelectField label={t.budgets.appliesTo} autoFocus options={DIMENSIONS.map((name) => [name, t.budgets.dimensions[name]])} {...form.field("dimension")} />
      {isOfUser(value("dimension")) && (
        <Field
          label={t.budgets.userEmail}
          hint={user.data?.name ?? t.budgets.userHint}
          type="email"
          autoComplete="off"
          {...form.field("email")}
          {...(isUnknown && { error: t.budgets.userUnknown })}
        />
      )}
      {value("dimension") === "key" && (
        <SelectField
          label={t.keys.key}
          options={[["", t.budgets.chooseKey], ...keys]}
          {...form.field("key")}
          value={key}
          {...(key === "" && foreignKey === value("key") && { error: t.budgets.keyMissing })}
        />
      )}
      {value("dimension") === "plan" && (
        <SelectField label={t.users.plan} hint={t.budgets.planHint} options={[["", t.users.choosePlan], ...plans.map(({ name }): [string, string] => [name, name])]} {...form.field("plan")} />
      )}
      <div className="grid gap-4 sm:grid-cols-3">
        <SelectField label={t.budgets.measure} options={MEASURES.map((name) => [name, t.budgets.measures[name]])} {...form.field("measure")} />
        <SelectField label={t.budgets.period} options={PERIODS.map((per) => [per, t.budgets.periods[per]])} {...form.field("per")} />
        <Field
          label={t.budgets.amount}
          inputMode={measure === "money" ? "decimal" : "numeric"}
          {...(measure === "money" && { suffix: "USD" })}
          {...form.field("amount")}
        />
      </div>
      {replaced && <p className="hint">{t.budgets.replaces(typedOf(replaced))}</p>}
    </FormDialog>
  );
}

function keyOptions(keys: readonly Schemas["ApiKey"][]): [string, string][] {
  return keys.filter((key) => !key.revoked_at).map((key) => [key.id, `${key.label} …${key.last4}`]);
}
