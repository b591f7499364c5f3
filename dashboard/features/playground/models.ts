import { FORMATS, type Format, isFormat } from "@/features/playground/call";
import type { Schemas } from "@/lib/api";

export type Model = Schemas["Model"];

/** The formats with text in which the model may be called; for an unknown model all of them. */
export function formatsOf(model: Model | undefined): Format[] {
  return model ? model.formats.filter(isFormat) : [...FORMATS];
}

/** The models that may respond with text, callable ones first. */
export function textModels(models: readonly Model[]): Model[] {
  const usable = models.filter((model) => formatsOf(model).length > 0);
  return [...usable.filter(({ credential }) => credential !== "missing"), ...usable.filter(({ credential }) => credential === "missing")];
}

/** Finds a model by its name or by another name of the same model. */
export function modelNamed(models: readonly Model[], name: string): Model | undefined {
  return models.find((model) => model.name === name) ?? models.find((model) => model.aliases.includes(name));
}
