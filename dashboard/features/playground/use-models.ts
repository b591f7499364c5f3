"use client";

import { type UseQueryResult, useQuery } from "@tanstack/react-query";

import { FORMATS, type Format, isFormat } from "@/features/playground/call";
import { type ApiError, type Schemas, api } from "@/lib/api";

export type Model = Schemas["Model"];

const itemsOf = ({ items }: Schemas["Models"]): Model[] => items;

/** The models that the session may request. The page of models reads the same response. */
export function useModels(): UseQueryResult<Model[], ApiError> {
  return useQuery({ queryKey: ["models"], queryFn: ({ signal }) => api("get", "/api/models", { signal }), select: itemsOf, staleTime: 60_000 });
}

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
