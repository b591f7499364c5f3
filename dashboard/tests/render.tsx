import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type RenderResult, render } from "@testing-library/react";
import type { ReactElement } from "react";

/** Renders with a client of its own that does not try again. */
export function show(element: ReactElement): RenderResult {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false, networkMode: "always" }, mutations: { networkMode: "always" } } });
  return render(<QueryClientProvider client={client}>{element}</QueryClientProvider>);
}

export const SITE = { name: "Acme", version: "1.0.0", signup: "closed", needs_setup: false, control_url: "https://control.example.com", key_prefix: "acme", color: null, billing: false, payments_stub: false, llm: null, route: null };
