"use client";

import { type UseMutationResult, type UseQueryResult, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import type { Invoice } from "@/features/billing/use-billing";
import { type ApiError, type Schemas, api } from "@/lib/api";
import { type List, useList } from "@/lib/list";

export type BilledInvoice = Schemas["BilledInvoice"];
export type BilledPayment = Schemas["BilledPayment"];

const PAGE = 50;

/** The invoices of all users, newest first, page by page. An empty state means all. */
export function useAllInvoices(state: Schemas["Invoice"]["state"] | ""): List<Schemas["BilledInvoices"]> {
  return useList({
    queryKey: ["billing-admin", "invoices", state],
    read: (cursor, signal) => api("get", "/api/billing/invoices", { query: { limit: PAGE, ...cursor, ...(state && { state }) }, signal }),
  });
}

/** The newest payments that a fraud check holds or that a bank took back. */
export function useOddPayments(): UseQueryResult<BilledPayment[], ApiError> {
  return useQuery({ queryKey: ["billing-admin", "payments"], queryFn: async ({ signal }) => (await api("get", "/api/billing/payments", { query: { limit: PAGE }, signal })).items });
}

/** An invoice of any user with its lines, payments and credit notes. */
export function useAnyInvoice(id: string): UseQueryResult<Invoice, ApiError> {
  return useQuery({ queryKey: ["billing-admin", "invoice", id], queryFn: ({ signal }) => api("get", "/api/billing/invoices/{id}", { path: { id }, signal }) });
}

export type InvoiceDecision = "approve" | "void" | "write-off";

interface InvoiceActions {
  /** Opens, voids or writes off the invoice. */
  decide: UseMutationResult<unknown, ApiError, InvoiceDecision>;
  /** Takes a part of a line back. */
  credit: UseMutationResult<unknown, ApiError, { no: number; amount: number | null; reason: string; credited: number }>;
  /** Returns money of the wallet to the customer. */
  refund: UseMutationResult<unknown, ApiError, { amount: number; reason: string; by: string; reference: string; refunded: number }>;
}

/** What finance does with an invoice. */
export function useInvoiceActions(id: string): InvoiceActions {
  const client = useQueryClient();
  const onSettled = () => {
    for (const queryKey of [["billing-admin"], ["billing"]]) void client.invalidateQueries({ queryKey });
  };
  const path = { id };
  return {
    decide: useMutation({
      mutationFn: (decision) => {
        if (decision === "approve") return api("post", "/api/invoices/{id}/approve", { path });
        return decision === "void" ? api("post", "/api/invoices/{id}/void", { path }) : api("post", "/api/invoices/{id}/write-off", { path });
      },
      onSettled,
    }),
    credit: useMutation({ mutationFn: ({ no, amount, reason, credited }) => api("post", "/api/invoices/{id}/credit-notes", { path, body: { lines: [{ no, ...(amount !== null && { amount }) }], reason, credited } }), onSettled }),
    refund: useMutation({ mutationFn: ({ amount, reason, by, reference, refunded }) => api("post", "/api/invoices/{id}/refunds", { path, body: { amount, reason, by, refunded, ...(by === "hand" && { reference }) } }), onSettled }),
  };
}
