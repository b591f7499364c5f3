import { useQuery } from "@tanstack/react-query";
import { act, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Failure } from "@/components/ui/states";
import { api } from "@/lib/api";
import { show } from "@/tests/render";
import { type Answer, refusal, serve } from "@/tests/server";

function Part() {
  const query = useQuery({ queryKey: ["me"], queryFn: ({ signal }) => api("get", "/api/me", { signal }) });
  return query.data ? <p>Data</p> : <Failure error={query.error} onRetry={() => void query.refetch()} />;
}

const limited = (seconds: string): Answer => ({ ...refusal("rate_limited", 429), headers: { "retry-after": seconds } });

async function pass(ms: number): Promise<void> {
  await act(() => vi.advanceTimersByTimeAsync(ms));
}

describe("a part that a rate limit refused", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  it("counts down, and tries again until it is served", async () => {
    const seen = serve({ "GET /api/me": [limited("12"), limited("3"), { body: {} }] });
    show(<Part />);
    await pass(1);
    expect(screen.getByRole("alert")).toHaveTextContent("This part of the page tries again by itself in 0:12");
    await pass(5_000);
    expect(screen.getByRole("timer")).toHaveTextContent("0:07");
    expect(seen).toHaveLength(1);
    await pass(7_500);
    expect(seen).toHaveLength(2);
    expect(screen.getByRole("timer")).toHaveTextContent(/0:0[23]/);
    await pass(4_000);
    expect(screen.getByText("Data")).toBeVisible();
    expect(seen).toHaveLength(3);
  });

  it("asks for nothing while the page is hidden", async () => {
    const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    const seen = serve({ "GET /api/me": [limited("2"), { body: {} }] });
    show(<Part />);
    await pass(60_000);
    expect(seen).toHaveLength(1);
    hidden.mockReturnValue(false);
    await pass(1_000);
    expect(screen.getByText("Data")).toBeVisible();
  });

  it("does not repeat other failures", async () => {
    const seen = serve({ "GET /api/me": refusal("internal", 500) });
    show(<Part />);
    await pass(60_000);
    expect(seen).toHaveLength(1);
    expect(screen.queryByRole("timer")).toBeNull();
  });
});
