"use client";

import Link from "next/link";
import type { ReactNode } from "react";

import { buttonClass } from "@/components/ui/button";
import { CopyButton } from "@/components/ui/copy-button";
import { Drawer } from "@/components/ui/drawer";
import { Facts } from "@/components/ui/facts";
import { LinesTable } from "@/components/ui/lines-table";
import { Note } from "@/components/ui/note";
import { type Model, amountOf, classPrices, unitPrices } from "@/features/models/model-prices";
import type { Schemas } from "@/lib/api";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";

interface ModelDrawerProps {
  name: string;
  /** `undefined` if the list does not contain it. */
  model: Model | undefined;
  onClose(): void;
}

/** A model with its limits and all of its prices. */
export function ModelDrawer({ name, model, onClose }: ModelDrawerProps) {
  const t = useMessages();
  return (
    <Drawer title={<span className="trunc">{name}</span>} actions={<CopyButton text={name} what={t.models.name} />} onClose={onClose}>
      {model ? <Content model={model} /> : (
        <section>
          <Note title={t.models.missing} />
        </section>
      )}
    </Drawer>
  );
}

function Content({ model }: { model: Model }) {
  const t = useMessages();
  const format = useFormat();
  const { limits, price } = model;
  const facts: [string, ReactNode][] = [
    [t.models.provider, model.provider],
    [t.models.providerModel, <span key="v" className="mono">{model.provider_model}</span>],
    [t.models.aliases, model.aliases.length > 0 && <span key="v" className="mono">{model.aliases.join(", ")}</span>],
    [t.models.credential, t.models.credentials[model.credential]],
    [t.models.credits, format.count(model.credits)],
    [t.models.inputMax, limits ? format.count(limits.input_tokens_max) : NONE],
    [t.models.outputMax, limits ? format.count(limits.output_tokens_max) : NONE],
    [t.models.formats, model.formats.join(", ")],
  ];
  return (
    <>
      {model.credential === "missing" && (
        <section>
          <Note tone="warn" title={t.models.noCredential}>
            <p>{t.models.noCredentialText}</p>
            <p className="mt-2">
              <Link className={buttonClass({ size: "small" })} href={`/dashboard/providers?add=${encodeURIComponent(model.provider)}`}>
                {t.models.addCredential}
              </Link>
            </p>
          </Note>
        </section>
      )}
      {price ? <Prices price={price} /> : (
        <section>
          <h3>{t.models.perMillion}</h3>
          <p className="hint">{t.models.notPriced}</p>
        </section>
      )}
      <section>
        <h3>{t.models.limits}</h3>
        <Facts facts={facts} />
      </section>
    </>
  );
}

function Prices({ price }: { price: Schemas["ModelPrice"] }) {
  const t = useMessages();
  const format = useFormat();
  const [classes, units] = [classPrices(price), unitPrices(price)];
  const { long, currency } = price;
  const facts: [string, ReactNode][] = [
    [t.models.source, price.source],
    [t.models.version, <span key="v" className="mono">{price.version}</span>],
    [t.models.asOf, price.as_of && format.utcDate(price.as_of)],
    [t.models.until, price.until && format.utcDate(price.until)],
  ];
  return (
    <section>
      <h3>{t.models.perMillion}</h3>
      {classes.length > 0 && (
        <LinesTable
          heads={[t.models.class, t.models.standard, ...(long ? [t.models.above(format.count(long.above_tokens))] : [])]}
          rows={classes.map(({ name, standard, long: rate }) => {
            const above = rate === undefined ? NONE : format.rate(rate, currency);
            return { name, cells: [t.models.classes[name], format.rate(standard, currency), ...(long ? [above] : [])] };
          })}
        />
      )}
      {units.length > 0 && (
        <>
          <h3>{t.models.otherPrices}</h3>
          <LinesTable rows={units.map(({ name, amount }) => ({ name, cells: [t.models.units[name], amountOf(amount, currency, format)] }))} />
        </>
      )}
      <Facts facts={facts} />
    </section>
  );
}
