import { act, screen } from "@testing-library/react";
import { beforeEach, describe, expect, it } from "vitest";

import { ClockBar } from "@/features/frame/clock-bar";
import { noteServerTime } from "@/lib/server-clock";
import { show } from "@/tests/render";

const DAY = 86_400_000;
const server = (aheadMs: number) => act(() => noteServerTime(new Date(Date.now() - aheadMs).toUTCString()));

describe("ClockBar", () => {
  beforeEach(() => server(0));

  it("tells a clock that is a day off, in both directions, until it is right", () => {
    show(<ClockBar />);
    expect(screen.queryByRole("status")).toBeNull();
    server(DAY + 30_000);
    expect(screen.getByRole("status")).toHaveTextContent("24 h 0 min ahead of the server");
    server(-DAY - 30_000);
    expect(screen.getByRole("status")).toHaveTextContent("24 h 0 min behind the server");
    server(2_000);
    expect(screen.queryByRole("status")).toBeNull();
  });

  it("ignores delays and fields that are no dates", () => {
    show(<ClockBar />);
    server(4 * 60_000);
    for (const date of [null, "", "yesterday"]) act(() => noteServerTime(date));
    expect(screen.queryByRole("status")).toBeNull();
  });
});
