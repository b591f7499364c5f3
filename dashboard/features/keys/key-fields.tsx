"use client";

import { useState } from "react";

import { Field } from "@/components/ui/field";
import { SelectField } from "@/components/ui/select-field";
import { BUDGET_FIELDS, type KeyFields as Fields, MORE_FIELDS } from "@/features/keys/key-form";
import type { ApiKey } from "@/features/keys/key-state";
import type { Form } from "@/lib/form";
import { useFormat, useMessages } from "@/lib/language";
import { useMe, useOverview } from "@/lib/queries";

interface KeyFieldsProps {
  form: Form<Fields>;
  /** The key to change; without it, the fields are those of a new key. */
  apiKey?: ApiKey;
  /** The currency of budgets in money. */
  currency: string;
  /** Whether the reader may create a key with the scope `admin`. */
  offersAdmin?: boolean;
}

/** The label and the limits of a key. Its other fields are behind a summary, which is open if one of them is set or wrong. */
export function KeyFields({ offersAdmin, ...props }: KeyFieldsProps) {
  const t = useMessages();
  const { form } = props;
  const isAdminKey = form.field("scope").value === "admin";
  return (
    <>
      <Field label={t.keys.label} hint={t.keys.labelHint} autoComplete="off" autoFocus {...form.field("label")} />
      {offersAdmin && (
        <SelectField label={t.keys.scope} hint={isAdminKey ? t.keys.adminText : t.keys.scopeHint} options={[["requests", t.keys.scopeRequests], ["admin", t.keys.scopeAdmin]]} {...form.field("scope")} />
      )}
      {isAdminKey ? <AdminFields form={form} /> : <RequestFields {...props} />}
    </>
  );
}

/** The fields of a key with the scope `admin`, which has no other limits. */
function AdminFields({ form }: Pick<KeyFieldsProps, "form">) {
  const t = useMessages();
  return (
    <>
      <Field label={t.keys.expiry} hint={t.keys.expiryOfAdmin} type="date" required {...form.field("expires")} />
      <Field label={t.keys.addresses} hint={t.keys.addressesOfAdmin} placeholder={t.keys.noLimit} className="mono" {...form.field("addresses")} />
    </>
  );
}

function RequestFields({ form, apiKey, currency }: KeyFieldsProps) {
  const t = useMessages();
  const format = useFormat();
  const quota = useOverview().data?.plan?.credits_per_day;
  const isSet = MORE_FIELDS.some((name) => form.field(name).value !== "");
  const isWrong = MORE_FIELDS.some((name) => form.field(name).error !== undefined);
  const [isOpen, setOpen] = useState(isSet);
  return (
    <>
      <div className="grid gap-4 sm:grid-cols-2">
        <Field
          label={t.keys.credits}
          hint={quota ? t.keys.creditsOf(format.count(quota)) : undefined}
          inputMode="numeric"
          placeholder={t.keys.noLimit}
          {...form.field("credits")}
        />
        <Field label={t.keys.rate} inputMode="numeric" placeholder={t.keys.noLimit} {...form.field("rate")} />
      </div>
      <details className="more" open={isOpen || isWrong} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <span className="med">{t.keys.more}</span> <span className="t3 sm">{t.keys.moreText}</span>
        </summary>
        <div className="stack">
          <MoreFields form={form} {...(apiKey && { apiKey })} currency={currency} />
        </div>
      </details>
    </>
  );
}

/** The expiry, the scopes and the addresses of a key; for admins, its budgets. */
function MoreFields({ form, apiKey, currency }: KeyFieldsProps) {
  const t = useMessages();
  const isAdmin = useMe().data?.acts_as === "admin";
  const { models, routes } = apiKey?.scopes ?? {};
  return (
    <>
      <Field label={t.keys.expiry} hint={t.keys.expiryHint} type="date" {...form.field("expires")} />
      <Field label={t.keys.modelsField} hint={models?.length === 0 ? t.keys.noModels : t.keys.modelsHint} placeholder={models?.length === 0 ? t.keys.nothing : t.keys.noLimit} className="mono" {...form.field("models")} />
      <Field label={t.keys.routesField} hint={routes?.length === 0 ? t.keys.noRoutes : t.keys.routesHint} placeholder={routes?.length === 0 ? t.keys.nothing : t.keys.noLimit} className="mono" {...form.field("routes")} />
      <Field label={t.keys.addresses} hint={t.keys.addressesHint} placeholder={t.keys.noLimit} className="mono" {...form.field("addresses")} />
      {isAdmin && apiKey && <Field label={t.keys.labels} hint={t.keys.labelsHint} className="mono" {...form.field("labels")} />}
      {isAdmin && (
        <fieldset className="grid gap-4 sm:grid-cols-2">
          <legend className="mb-3 text-[0.8125rem] font-semibold">{t.keys.budgets}</legend>
          {BUDGET_FIELDS.map((name) => (
            <Field
              key={name}
              label={t.keys.budgetFields[name]}
              inputMode="decimal"
              placeholder={t.keys.noLimit}
              suffix={name.startsWith("money") ? currency : t.overview.tokens.toLowerCase()}
              {...form.field(name)}
            />
          ))}
        </fieldset>
      )}
    </>
  );
}
