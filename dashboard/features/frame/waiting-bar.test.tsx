import { useQuery } from "@tanstack/react-query";
import { act, fireEvent, screen } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { Failure } from "@/components/ui/states";
import { WaitingBar } from "@/features/frame/waiting-bar";
import { api } from "@/lib/api";
import { show } from "@/tests/render";

function Part() {
  const query = useQuery({ queryKey: ["me"], queryFn: ({ signal }) => api("get", "/api/me", { signal }) });
  return (
    <>
      <WaitingBar />
      {query.isPending && <p>Loading</p>}
      {query.isError && <Failure error={query.error} onRetry={() => void query.refetch()} />}
      {query.data && <p>Data</p>}
    </>
  );
}

/** A server that does not respond before `respond` is called. */
function hangingServer(): { respond(): void } {
  const open: (() => void)[] = [];
  let responds = false;
  vi.stubGlobal("fetch", (_: string, init: RequestInit) => new Promise((resolve, reject) => {
    const answer = () => resolve(new Response("{}"));
    if (responds) return answer();
    open.push(answer);
    init.signal?.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
  }));
  return { respond: () => { responds = true; } };
}

async function pass(ms: number): Promise<void> {
  await act(() => vi.advanceTimersByTimeAsync(ms));
}

const BAR = "The server has not responded for 10 s. This page still waits.";

describe("WaitingBar", () => {
  beforeEach(() => void vi.useFakeTimers());

  it("says after 10 s that the page waits, not before, and can stop", async () => {
    hangingServer();
    show(<Part />);
    await pass(9_000);
    expect(screen.queryByText(BAR)).toBeNull();
    await pass(1_500);
    expect(screen.getByText(BAR)).toBeVisible();
    fireEvent.click(screen.getByRole("button", { name: "Stop waiting" }));
    await pass(0);
    expect(screen.queryByText(BAR)).toBeNull();
    expect(screen.getByRole("alert")).toHaveTextContent("The request was cancelled");
    expect(screen.queryByText("Loading")).toBeNull();
  });

  it("sends the request again", async () => {
    const server = hangingServer();
    show(<Part />);
    await pass(10_500);
    server.respond();
    fireEvent.click(screen.getByRole("button", { name: "Try again" }));
    await pass(0);
    expect(screen.getByText("Data")).toBeVisible();
    expect(screen.queryByText(BAR)).toBeNull();
  });
});
