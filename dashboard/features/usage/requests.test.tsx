import { act, screen } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { Requests } from "@/features/usage/requests";
import { visit } from "@/tests/navigation";
import { show } from "@/tests/render";

beforeEach(() => visit("/dashboard/usage"));

/** A server whose responses to this path do not arrive after the first `answers`. */
function hangAfter(answers: number): void {
  let count = 0;
  vi.stubGlobal("fetch", (url: string) => {
    const isList = url.includes("/api/usage/requests");
    if (isList) count += 1;
    if (!isList || count > answers) return new Promise(() => undefined);
    return Promise.resolve(new Response(JSON.stringify({ items: [], next: null })));
  });
}

async function pass(ms: number): Promise<void> {
  await act(() => vi.advanceTimersByTimeAsync(ms));
}

describe("Requests", () => {
  beforeEach(() => void vi.useFakeTimers());

  it("is not called live before the first response", async () => {
    hangAfter(0);
    show(<Requests openId="" onOpen={() => undefined} />);
    await pass(1_000);
    expect(screen.getByText("Loading")).toBeVisible();
    await pass(10_000);
    expect(screen.getByText("Not up to date")).toBeVisible();
    expect(screen.queryByText("Live")).toBeNull();
  });

  it("is live until the server does not respond for 10 s", async () => {
    hangAfter(1);
    show(<Requests openId="" onOpen={() => undefined} />);
    await pass(4_000);
    expect(screen.getByText("Live")).toBeVisible();
    await pass(13_000);
    expect(screen.getByText("Not up to date")).toBeVisible();
    expect(screen.queryByText("Live")).toBeNull();
  });
});
