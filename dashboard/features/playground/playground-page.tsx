"use client";

import { useState } from "react";

import { Note } from "@/components/ui/note";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { Shell } from "@/features/frame/shell";
import { useModels } from "@/features/models/use-models";
import { type Call, isFormat } from "@/features/playground/call";
import { Conversation } from "@/features/playground/conversation";
import { type Model, formatsOf, modelNamed, textModels } from "@/features/playground/models";
import { Receipt } from "@/features/playground/receipt";
import { Settings } from "@/features/playground/settings";
import { useRun } from "@/features/playground/use-run";
import { useMessages } from "@/lib/language";
import { type Site, useSite } from "@/lib/queries";
import { useUrlState } from "@/lib/url-state";
import type { Messages } from "@/messages/en";

/** Whether a call works, and what it costs. */
export function PlaygroundPage() {
  const t = useMessages();
  const site = useSite();
  const models = useModels();
  return (
    <Shell page="playground">
      {site.isPending && <SkeletonRows rows={6} />}
      {site.isError && !site.data && <Failure error={site.error} onRetry={() => void site.refetch()} />}
      {site.data && !site.data.llm && <Empty title={t.playground.noLlm}>{t.playground.noLlmText}</Empty>}
      {site.data?.llm && (
        <>
          {models.isError && !models.data && <Failure error={models.error} onRetry={() => void models.refetch()} />}
          <Playground site={site.data} llm={site.data.llm} models={models.data} />
        </>
      )}
    </Shell>
  );
}

type Values = Omit<Call, "model" | "format">;
type Errors = Partial<Record<"key" | "model" | "maxTokens" | "temperature" | "user", string>>;

interface PlaygroundProps {
  site: Site;
  llm: NonNullable<Site["llm"]>;
  models: Model[] | undefined;
}

function Playground({ site, llm, models }: PlaygroundProps) {
  const t = useMessages();
  const { get, set } = useUrlState();
  const { run, send, stop, clear } = useRun();
  // The key is in this state only. It must not enter the address, the storage, a query or a message.
  const [secret, setSecret] = useState("");
  const [values, setValues] = useState<Values>({ system: "", user: "", maxTokens: "", temperature: "" });
  const [typedModel, setTypedModel] = useState<string>();
  const [isChecked, setIsChecked] = useState(false);
  const model = typedModel ?? (get("model") || (textModels(models ?? [])[0]?.name ?? ""));
  const formats = formatsOf(modelNamed(models ?? [], model));
  const asked = get("format");
  const format = (isFormat(asked) && formats.includes(asked) ? asked : formats[0]) ?? "chat";
  const call: Call = { ...values, model, format };
  const errors = errorsOf(call, secret, { prefix: site.key_prefix, t });
  const shown: Errors = isChecked ? errors : {};
  const change = ({ model: nextModel, format: nextFormat, ...rest }: Partial<Call>): void => {
    setValues((before) => ({ ...before, ...rest }));
    if (nextModel !== undefined) {
      setTypedModel(nextModel);
      set({ model: nextModel });
    }
    if (nextFormat !== undefined) set({ format: nextFormat });
  };
  const blocked = blockedReason(llm.page_origin ?? undefined, t);
  const submit = (): void => {
    if (run.state === "waiting" || run.state === "streaming") return;
    setIsChecked(Object.keys(errors).length > 0);
    if (Object.keys(errors).length === 0 && blocked === undefined) send(call, secret, llm.base_url);
  };
  return (
    <>
      {blocked !== undefined && <Note tone="warn" title={t.playground.blocked}>{blocked}</Note>}
      <div className="pg">
        <Settings call={call} secret={secret} prefix={site.key_prefix} models={models} errors={shown} onChange={change} onSecret={setSecret} />
        <Conversation run={run} call={call} error={shown.user} place={{ base: llm.base_url, variable: llm.key_variable }} onChange={change} onSend={submit} onStop={stop} onClear={clear} />
        <Receipt run={run} />
      </div>
    </>
  );
}

/** Why the proxy refuses this page, if it does. The proxy accepts one origin. */
function blockedReason(allowed: string | undefined, t: Messages): string | undefined {
  if (typeof location === "undefined" || allowed === location.origin) return undefined;
  return allowed === undefined ? t.playground.blockedNone : t.playground.blockedOther(location.origin, allowed);
}

function errorsOf(call: Call, secret: string, { prefix, t }: { prefix: string; t: Messages }): Errors {
  const temperature = Number(call.temperature);
  const hasShape = secret.startsWith(`${prefix}_`) && /^[\x21-\x7e]+$/.test(secret);
  const errors: [keyof Errors, string | undefined][] = [
    ["key", secret === "" ? t.playground.keyMissing : hasShape ? undefined : t.playground.keyShape(prefix)],
    ["model", call.model === "" ? t.playground.modelMissing : undefined],
    ["maxTokens", /^([1-9]\d{0,8})?$/.test(call.maxTokens) ? undefined : t.playground.wholeNumber],
    ["temperature", call.temperature === "" || (temperature >= 0 && temperature <= 2) ? undefined : t.playground.temperatureRange],
    ["user", call.user.trim() === "" ? t.playground.messageMissing : undefined],
  ];
  return Object.fromEntries(errors.filter(([, error]) => error !== undefined));
}
