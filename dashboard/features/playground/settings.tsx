"use client";

import { ChevronDown } from "lucide-react";
import { useId, useState, useSyncExternalStore } from "react";

import { Field } from "@/components/ui/field";
import { type Call, type Format, isFormat } from "@/features/playground/call";
import { KeyField } from "@/features/playground/key-field";
import { type Model, formatsOf, modelNamed, textModels } from "@/features/playground/models";
import { useFormat, useMessages } from "@/lib/language";

const NARROW = "(max-width: 767px)";

function watchWidth(changed: () => void): () => void {
  const narrow = matchMedia(NARROW);
  narrow.addEventListener("change", changed);
  return () => narrow.removeEventListener("change", changed);
}

interface SettingsProps {
  call: Call;
  secret: string;
  prefix: string;
  models: Model[] | undefined;
  errors: Partial<Record<"key" | "model" | "maxTokens" | "temperature", string>>;
  onChange(change: Partial<Call>): void;
  onSecret(key: string): void;
}

/** The key, the model and the parameters. On phones they are folded once a key is entered. */
export function Settings({ call, secret, prefix, models, errors, onChange, onSecret }: SettingsProps) {
  const t = useMessages();
  const ids = { format: useId(), system: useId() };
  const isNarrow = useSyncExternalStore(watchWidth, () => matchMedia(NARROW).matches, () => false);
  const [toggled, setToggled] = useState<boolean>();
  const isOpen = toggled ?? (!isNarrow || secret === "");
  const formats = formatsOf(modelNamed(models ?? [], call.model));
  return (
    <details className="panel cfg" open={isOpen || !isNarrow} onToggle={(event) => isNarrow && setToggled(event.currentTarget.open)}>
      <summary>
        <span className="med">{t.playground.settings}</span>
        <span className="t3 sm mono trunc">{call.model}</span>
        <ChevronDown className="i" aria-hidden />
      </summary>
      <div className="grid gap-4 p-4">
        <KeyField value={secret} error={errors.key} prefix={prefix} onChange={onSecret} />
        <ModelField call={call} models={models} error={errors.model} onChange={onChange} />
        {formats.length > 1 && (
          <div className="field">
            <label htmlFor={ids.format}>{t.playground.format}</label>
            <select id={ids.format} className="in" value={call.format} onChange={(event) => isFormat(event.target.value) && onChange({ format: event.target.value })}>
              {formats.map((format: Format) => (
                <option key={format} value={format}>
                  {t.playground.formats[format]}
                </option>
              ))}
            </select>
          </div>
        )}
        <div className="field">
          <label htmlFor={ids.system}>{t.playground.system}</label>
          <textarea id={ids.system} className="in" rows={3} placeholder={t.playground.none} value={call.system} onChange={(event) => onChange({ system: event.target.value })} />
        </div>
        <div className="pair">
          <Field label={t.playground.maxTokens} inputMode="numeric" placeholder={t.playground.default} className="num" value={call.maxTokens} error={errors.maxTokens} onChange={(event) => onChange({ maxTokens: event.target.value.trim() })} />
          <Field label={t.playground.temperature} inputMode="decimal" placeholder={t.playground.default} className="num" value={call.temperature} error={errors.temperature} onChange={(event) => onChange({ temperature: event.target.value.trim() })} />
        </div>
      </div>
    </details>
  );
}

interface ModelFieldProps {
  call: Call;
  models: Model[] | undefined;
  error: string | undefined;
  onChange(change: Partial<Call>): void;
}

/** A name of the list, or any other: a provider may serve models without a known price. */
function ModelField({ call, models, error, onChange }: ModelFieldProps) {
  const t = useMessages();
  const format = useFormat();
  const id = useId();
  const offered = textModels(models ?? []);
  const chosen = modelNamed(offered, call.model);
  const hint = (): string | undefined => {
    if (!models) return undefined;
    if (offered.length === 0) return t.playground.noModels;
    if (!chosen) return call.model === "" ? undefined : t.playground.modelUnknown;
    if (chosen.credential === "missing") return t.playground.modelNoCredential;
    const { price } = chosen;
    if (price?.rates_pico.input == null || price.rates_pico.output == null) return t.playground.modelFree;
    return t.playground.modelPrice(format.rate(price.rates_pico.input, price.currency), format.rate(price.rates_pico.output, price.currency));
  };
  return (
    <>
      <Field label={t.playground.model} className="mono" autoComplete="off" spellCheck={false} list={id} value={call.model} hint={hint()} error={error} onChange={(event) => onChange({ model: event.target.value.trim() })} />
      <datalist id={id}>
        {offered.map((model) => (
          <option key={model.name} value={model.name} />
        ))}
      </datalist>
    </>
  );
}
