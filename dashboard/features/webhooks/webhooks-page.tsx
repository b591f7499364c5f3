"use client";

import { Plus } from "lucide-react";
import dynamic from "next/dynamic";
import Link from "next/link";
import { useState } from "react";

import { Button, buttonClass } from "@/components/ui/button";
import { Empty } from "@/components/ui/states";
import { FinanceShell } from "@/features/frame/admin-shell";
import type { Webhook } from "@/features/webhooks/use-webhooks";
import { WebhookList } from "@/features/webhooks/webhook-list";
import { useMessages } from "@/lib/language";
import { useLater } from "@/lib/later";
import { useMe, useSite } from "@/lib/queries";
import { useUrlState } from "@/lib/url-state";

const drawer = () => import("@/features/webhooks/webhook-drawer");
const WebhookDrawer = dynamic(() => drawer().then((module) => module.WebhookDrawer));
const dialog = () => import("@/features/webhooks/webhook-dialog");
const WebhookDialog = dynamic(() => dialog().then((module) => module.WebhookDialog));
const secret = () => import("@/features/webhooks/webhook-secret-dialog");
const WebhookSecretDialog = dynamic(() => secret().then((module) => module.WebhookSecretDialog));
const parts = () => Promise.all([drawer(), dialog(), secret()]);

/** The URLs of other systems that receive the events of billing, and their deliveries. */
export function WebhooksPage() {
  const t = useMessages();
  const { get, set } = useUrlState();
  const site = useSite().data;
  const isAdmin = useMe().data?.acts_as === "admin";
  useLater(parts);
  const [withSecret, setWithSecret] = useState<Webhook>();
  const id = get("id");
  const add = (
    <Button look="primary" onClick={() => set({ create: "1" })}>
      <Plus className="i" aria-hidden />
      {t.webhooks.add}
    </Button>
  );
  const settings = isAdmin && <Link className={buttonClass({ look: "primary" })} href="/dashboard/configuration">{t.frame.configuration}</Link>;
  return (
    <FinanceShell page="webhooks" actions={site?.billing && add}>
      {site && !site.billing && <section className="panel"><Empty title={t.billing.off} action={settings}>{t.billingAdmin.offText}</Empty></section>}
      {site?.billing && <WebhookList openId={id} onOpen={(webhook) => set({ id: webhook.id })} onAdd={() => set({ create: "1" })} />}
      {site?.billing && get("create") !== "" && !withSecret && (
        <WebhookDialog
          webhook={undefined}
          onClose={() => set({ create: "" })}
          onCreated={(created) => {
            setWithSecret(created);
            set({ create: "", id: created.id });
          }}
        />
      )}
      {site?.billing && id !== "" && !withSecret && <WebhookDrawer key={id} id={id} onSecret={setWithSecret} onClose={() => set({ id: "" })} />}
      {withSecret && <WebhookSecretDialog webhook={withSecret} onDone={() => setWithSecret(undefined)} />}
    </FinanceShell>
  );
}
