"use client";

import { useState } from "react";

import { CopyButton } from "@/components/ui/copy-button";
import { Facts } from "@/components/ui/facts";
import { Field } from "@/components/ui/field";
import { type Configuration, useConfiguration } from "@/features/configuration/use-configuration";
import { useMessages } from "@/lib/language";
import { useSite } from "@/lib/queries";

const SELLER = ["name", "address", "tax_number", "email"] as const;
type SellerKey = (typeof SELLER)[number];
type Seller = Record<SellerKey, string>;

/** The seller in the configuration that is in force; texts that are not set are empty. */
function sellerOf(settings: Configuration["settings"]): Seller {
  const value = (key: SellerKey): string => {
    const found = settings.find((setting) => setting.key === `billing.seller.${key}`)?.value;
    return typeof found === "string" ? found : "";
  };
  return { name: value("name"), address: value("address"), tax_number: value("tax_number"), email: value("email") };
}

/** The lines of the configuration file that turn billing on. */
export function billingLines(seller: Seller): string {
  const written = SELLER.filter((key) => seller[key].trim() !== "").map((key) => `    ${key}: ${JSON.stringify(seller[key].trim())}\n`);
  return `billing:\n  enabled: true\n${written.length > 0 ? `  seller:\n${written.join("")}` : ""}midtrans:\n  server_key: \${MIDTRANS_SERVER_KEY:-}\n  client_key: \${MIDTRANS_CLIENT_KEY:-}\n`;
}

/** The seller on invoices, or what turns billing on. */
export function SellerPanel() {
  const t = useMessages();
  const site = useSite().data;
  const running = useConfiguration();
  if (!site || !running.data) return null;
  const seller = sellerOf(running.data.settings);
  if (!site.billing) return <TurnOn seller={seller} />;
  const facts: [string, string][] = SELLER.map((key) => [t.plans.seller[key], seller[key]]);
  return (
    <>
      <Facts facts={seller.name === "" ? [[t.plans.seller.name, site.name], ...facts.slice(1)] : facts} />
      <p className="hint">{t.plans.sellerText}</p>
    </>
  );
}

/** Writes the lines for the configuration file. Billing is a key that needs a restart, so that no request can set it. */
function TurnOn({ seller: initial }: { seller: Seller }) {
  const t = useMessages();
  const [seller, setSeller] = useState(initial);
  const lines = billingLines(seller);
  return (
    <div className="stack max-w-[620px]">
      <p className="t2 md m-0">{t.plans.turnOnText}</p>
      <div className="grid gap-4 sm:grid-cols-2">
        {SELLER.map((key) => <Field key={key} label={t.plans.seller[key]} maxLength={200} autoComplete="off" value={seller[key]} onChange={(event) => setSeller({ ...seller, [key]: event.target.value })} />)}
      </div>
      <div className="code">
        <div className="ch">
          <span className="px-2.5 text-xs font-medium text-text-2">{t.plans.lines}</span>
          <CopyButton text={lines} what={t.plans.lines} withWord />
        </div>
        <pre tabIndex={0} aria-label={t.plans.lines}>{lines}</pre>
      </div>
      <p className="hint">{t.plans.stubText}</p>
    </div>
  );
}
