import { act, screen, waitFor } from "@testing-library/react";
import { beforeEach, expect, it, vi } from "vitest";

import { useOverview } from "@/lib/queries";
import { useLiveOverview } from "@/lib/use-live";
import { show } from "@/tests/render";
import { serve } from "@/tests/server";

class Source {
  static readonly CLOSED = 2;
  static all: Source[] = [];
  readyState = 1;
  onmessage?: () => void;
  onerror?: () => void;
  constructor(readonly url: string) {
    Source.all.push(this);
  }
  close() {
    this.readyState = Source.CLOSED;
  }
}

function Page({ scope }: { scope: string }) {
  const isLive = useLiveOverview(scope);
  const { data } = useOverview(scope, isLive);
  return <p>{(data as unknown as { n: number } | undefined)?.n ?? "none"}</p>;
}

beforeEach(() => {
  Source.all = [];
  vi.stubGlobal("EventSource", Source);
});

const ME = { body: { user: { id: "u1" }, acts_as: "member", roles: [] } };

it("reads the overview again when a figure changes", async () => {
  serve({ "GET /api/me": ME, "GET /api/dashboard/overview": [{ body: { n: 1 } }, { body: { n: 2 } }] });
  const { unmount } = show(<Page scope="" />);
  expect(await screen.findByText("1")).toBeVisible();
  await waitFor(() => expect(Source.all).toHaveLength(1));
  const source = Source.all[0]!;
  expect(source.url).toBe("/api/live?topics=usage,spend,refusals&scope=user%3Au1");
  act(() => [1, 2, 3, 4].forEach(() => source.onmessage?.()));
  expect(await screen.findByText("2")).toBeVisible();
  unmount();
  expect(source.readyState).toBe(Source.CLOSED);
});

it("watches nothing while the page is hidden, and reads once when it is visible again", async () => {
  const seen = serve({ "GET /api/me": ME, "GET /api/dashboard/overview": [{ body: { n: 1 } }, { body: { n: 2 } }] });
  const hide = (isHidden: boolean) => act(() => {
    vi.spyOn(document, "hidden", "get").mockReturnValue(isHidden);
    document.dispatchEvent(new Event("visibilitychange"));
  });
  show(<Page scope="" />);
  expect(await screen.findByText("1")).toBeVisible();
  await waitFor(() => expect(Source.all).toHaveLength(1));
  act(() => [1, 2, 3, 4].forEach(() => Source.all[0]!.onmessage?.()));
  hide(true);
  expect(Source.all[0]!.readyState).toBe(Source.CLOSED);
  const reads = () => seen.filter(({ line }) => line.includes("overview")).length;
  expect(reads()).toBe(1);
  hide(false);
  expect(Source.all).toHaveLength(2);
  expect(await screen.findByText("2", undefined, { timeout: 4_000 })).toBeVisible();
  expect(reads()).toBe(2);
});

it("watches no scope that has no stream", async () => {
  serve({ "GET /api/me": ME, "GET /api/dashboard/overview": { body: { n: 1 } } });
  show(<Page scope="plan:pro" />);
  expect(await screen.findByText("1")).toBeVisible();
  expect(Source.all).toHaveLength(0);
});
