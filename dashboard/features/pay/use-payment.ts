"use client";

import { type UseMutationResult, type UseQueryResult, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";

import { FOLLOW_MS, type Payment } from "@/features/billing/use-billing";
import { isWaiting } from "@/features/pay/pay-state";
import { type ApiError, type Schemas, api } from "@/lib/api";

export type PaymentMethod = Schemas["PaymentMethod"];

/** The method of a payment that begins; `bank` only of an account number. */
export interface ChosenMethod {
  method: PaymentMethod["method"];
  bank?: string | null | undefined;
}

/** What an arrived payment changes on other pages. */
const CHANGED = [["billing"], ["me"], ["overview"]];

/** The methods that this server offers, and whether they fit the amount in rupiah. */
export function useMethods(amount: number): UseQueryResult<PaymentMethod[], ApiError> {
  return useQuery({ queryKey: ["billing", "methods", amount], queryFn: async ({ signal }) => (await api("get", "/api/billing/methods", { query: { amount }, signal })).items });
}

/** A payment by its id, read again until it is decided: the server requests its status from the provider. */
export function usePaymentOf(id: string, isEnabled = true): UseQueryResult<Payment, ApiError> {
  const client = useQueryClient();
  const query = useQuery<Payment, ApiError>({
    queryKey: ["payment", id],
    queryFn: ({ signal }) => api("get", "/api/payments/{id}", { path: { id }, signal }),
    enabled: isEnabled && id !== "",
    refetchInterval: ({ state }) => (state.data && !isWaiting(state.data) ? false : FOLLOW_MS),
  });
  const isDecided = query.data !== undefined && !isWaiting(query.data);
  useEffect(() => {
    if (isDecided) for (const queryKey of CHANGED) void client.invalidateQueries({ queryKey });
  }, [client, isDecided]);
  return query;
}

/** Follows a payment of an invoice until it is decided. Then the invoice is read again. */
export function usePayment(payment: Payment | undefined): Payment | undefined {
  const { data } = usePaymentOf(payment?.id ?? "", payment !== undefined && isWaiting(payment));
  // Either of them may be the newer one, and a decision is final.
  return payment === undefined || isWaiting(payment) ? (data ?? payment) : payment;
}

export type Paying = UseMutationResult<Payment, ApiError, ChosenMethod>;

/** Begins a payment of an invoice. A pending payment by the same method is returned instead. */
export function usePay(invoice: string): Paying {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async ({ method, bank }) => (await api("post", "/api/invoices/{id}/pay", { path: { id: invoice }, body: { method, ...(bank && { bank }) } })).payment,
    // The invoice may be paid meanwhile, in another tab.
    onSettled: () => client.invalidateQueries({ queryKey: ["billing"] }),
  });
}

/** Makes a payment with the stub, in place of the customer's bank. */
export function useStubPayment(id: string): UseMutationResult<Payment, ApiError, void> {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => api("post", "/api/payments/{id}/stub", { path: { id } }),
    onSuccess: (payment) => client.setQueryData(["payment", id], payment),
    onSettled: () => client.invalidateQueries({ queryKey: ["billing"] }),
  });
}

/** Begins a payment into the wallet. A pending payment of the same method and amount is returned instead. */
export function useTopUp(amount: number): Paying {
  return useMutation({
    // The wallet is not offered as a method.
    mutationFn: async ({ method, bank }) => (await api("post", "/api/wallet/topups", { body: { amount, method: method as Schemas["NewTopUp"]["method"], ...(bank && { bank }) } })).payment,
  });
}
