"use client";

import { useMemo } from "react";

import { Button } from "@/components/ui/button";
import { SearchField } from "@/components/ui/search-field";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { Shell } from "@/features/frame/shell";
import { ModelDrawer } from "@/features/models/model-drawer";
import { type Model, matching } from "@/features/models/model-prices";
import { ModelTable } from "@/features/models/model-table";
import { useModels } from "@/features/models/use-models";
import { useFormat, useMessages } from "@/lib/language";
import { useUrlState } from "@/lib/url-state";

/** What can be called, at which provider and at what price. */
export function ModelsPage() {
  const { get, set } = useUrlState();
  const models = useModels();
  const open = get("id");
  return (
    <Shell page="models">
      <section className="panel" aria-labelledby="models">
        {models.isError && !models.data ? <Failure error={models.error} onRetry={() => void models.refetch()} /> : (
          <ModelList models={models.data} openName={open} onOpen={(name) => set({ id: name })} />
        )}
      </section>
      {open !== "" && models.data && (
        <ModelDrawer key={open} name={open} model={models.data.find(({ name }) => name === open)} onClose={() => set({ id: "" })} />
      )}
    </Shell>
  );
}

interface ModelListProps {
  models: Model[] | undefined;
  openName: string;
  onOpen(name: string): void;
}

function ModelList({ models, openName, onOpen }: ModelListProps) {
  const t = useMessages();
  const format = useFormat();
  const { get, set } = useUrlState();
  const [text, provider] = [get("q"), get("provider")];
  const all = useMemo(() => models ?? [], [models]);
  const shown = useMemo(() => matching(all, text, provider), [all, text, provider]);
  const providers = [...new Set([...all.map((model) => model.provider), ...(provider === "" ? [] : [provider])])];
  const currency = all.find((model) => model.price)?.price?.currency ?? "USD";
  if (models && all.length === 0) return <Empty title={t.models.none}>{t.models.noneText}</Empty>;
  return (
    <>
      <div className="ph flex-wrap">
        <h2 id="models">{t.frame.models}</h2>
        <span className="t3 sm">{t.models.unit(currency)}</span>
        <div className="row wrap push">
          <select className="in h-8 w-44" aria-label={t.models.provider} value={provider} onChange={(event) => set({ provider: event.target.value })}>
            <option value="">{t.models.allProviders}</option>
            {providers.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
          <SearchField label={t.models.filter} value={text} onChange={(q) => set({ q })} />
        </div>
      </div>
      {!models && <SkeletonRows rows={10} height={52} />}
      {models && shown.length === 0 && (
        <Empty title={t.models.noneFiltered} action={<Button onClick={() => set({ q: "", provider: "" })}>{t.models.clear}</Button>} />
      )}
      {shown.length > 0 && <ModelTable models={shown} openName={openName} onOpen={onOpen} />}
      {shown.length > 0 && (
        <div className="pf">
          <span className="num">{t.models.count(format.count(shown.length))}</span>
          <Versions models={shown} />
        </div>
      )}
    </>
  );
}

/** The versions of the prices; more than a few are only in the drawers. */
function Versions({ models }: { models: Model[] }) {
  const t = useMessages();
  const versions = [...new Set(models.flatMap(({ price }) => (price ? [price.version] : [])))];
  if (versions.length === 0 || versions.length > 2) return null;
  return <span className="mono">{t.models.prices(versions.join(", "))}</span>;
}
