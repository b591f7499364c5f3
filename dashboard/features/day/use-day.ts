"use client";

import { type UseMutationResult, type UseQueryResult, useMutation, useQuery } from "@tanstack/react-query";

import { type ApiError, type Schemas, api, apiFile } from "@/lib/api";
import { saveBlob } from "@/lib/save";

export type Brief = Schemas["Brief"];
export type Roi = Schemas["Roi"];
export type Classification = Schemas["Classification"];
export type Assets = Schemas["Assets"];
export type IngestStatus = Schemas["IngestStatus"];

/** The time after which figures of today are read again. */
const FRESH_MS = 10_000;
/** The time after which the charts of today are drawn again. */
const CHARTS_FRESH_MS = 60_000;

/** The brief of a day: `today`, or a day such as `2026-11-21`, and perhaps of a label (`today~team=payments`). */
export function useBrief(id: string): UseQueryResult<Brief, ApiError> {
  return useQuery({
    queryKey: ["brief", id],
    queryFn: ({ signal }) => api("get", "/brief/{id}", { path: { id }, signal }),
    refetchInterval: id.startsWith("today") ? FRESH_MS : false,
  });
}

/** The classes of today with their costs, perhaps of a label. Other days have none. */
export function useClasses(label: string, isToday: boolean): UseQueryResult<Classification, ApiError> {
  return useQuery({
    queryKey: ["classes", label],
    queryFn: ({ signal }) => api("get", "/classify/today", { query: label === "" ? {} : { scope: `label:${label}` }, signal }),
    enabled: isToday,
    refetchInterval: FRESH_MS,
  });
}

/** The charts of a brief, as the server draws them. */
export function useCharts(id: string, isDark: boolean): UseQueryResult<Assets, ApiError> {
  return useQuery({
    queryKey: ["charts", id, isDark],
    queryFn: ({ signal }) => api("post", "/assets/generate", { body: { id, charts: ["spend", "classes", "movers", "latency"], theme: isDark ? "dark" : "light", format: "svg" }, signal }),
    refetchInterval: id.startsWith("today") ? CHARTS_FRESH_MS : false,
  });
}

/** Downloads the signed export of a brief. */
export function useExport(): UseMutationResult<Blob, ApiError, string> {
  return useMutation({
    mutationFn: (id: string) => apiFile("/export/{id}", { path: { id } }),
    onSuccess: (zip, id) => saveBlob(`tollgate-${id.replace(/[^A-Za-z0-9-]/g, "_")}.zip`, zip),
  });
}

/** The cost and the savings of today. */
export function useRoi(): UseQueryResult<Roi, ApiError> {
  return useQuery({ queryKey: ["roi"], queryFn: ({ signal }) => api("get", "/roi/today", { signal }), refetchInterval: FRESH_MS });
}

/** The progress of usage into the store. */
export function useIngestStatus(): UseQueryResult<IngestStatus, ApiError> {
  return useQuery({ queryKey: ["ingest-status"], queryFn: ({ signal }) => api("get", "/ingest/status", { signal }), refetchInterval: FRESH_MS });
}
