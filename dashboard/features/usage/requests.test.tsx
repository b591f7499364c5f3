import { act, fireEvent, screen } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { Requests } from "@/features/usage/requests";
import { en } from "@/messages/en";
import { address, visit } from "@/tests/navigation";
import { show } from "@/tests/render";
import { refusal, serve } from "@/tests/server";

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

const LINE = { id: "r1", started_at: "2026-11-20T08:03:52Z", status: 200, refusal: null, model: "mock", route: null, key: null, tokens: null, cost: null, phases: null };

describe("the list of requests", () => {
  it("keeps its rows and says why no more were read", async () => {
    serve({ "GET /api/usage/requests": [{ body: { items: [LINE], next: "c2" } }, refusal("unavailable", 503)] });
    show(<Requests openId="" onOpen={() => undefined} />);
    fireEvent.click(await screen.findByRole("button", { name: en.usage.more }));
    expect(await screen.findByRole("alert")).toHaveTextContent("503");
    expect(screen.getByRole("table", { name: "Requests" })).toBeVisible();
  });
});

describe("the filters of the list", () => {
  const empty = { "GET /api/usage/requests": { body: { items: [], next: null } } };
  const asked = (seen: { line: string }[]) => seen.map(({ line }) => line).filter((line) => line.includes("/api/usage/requests")).map((line) => Object.fromEntries(new URL(line.slice(4), "http://x").searchParams));

  it("send the time and the text of the address, and a path as one", async () => {
    visit("/dashboard/usage?since=2026-11-20T00:00:00Z&until=2026-11-21T00:00:00Z&q=laptop&status=refused");
    const seen = serve(empty);
    const { unmount } = show(<Requests openId="" onOpen={() => undefined} />);
    expect(await screen.findByText("No request matches the filters")).toBeVisible();
    expect(asked(seen)[0]).toEqual({ limit: "50", status: "refused", text: "laptop", since: "2026-11-20T00:00:00.000Z", until: "2026-11-21T00:00:00.000Z" });
    expect(screen.getByLabelText("From")).toHaveValue("2026-11-20T07:00");
    unmount();
    visit("/dashboard/usage?q=/v1/users");
    const other = serve(empty);
    show(<Requests openId="" onOpen={() => undefined} />);
    expect(await screen.findByText("No request matches the filters")).toBeVisible();
    expect(asked(other)[0]).toEqual({ limit: "50", path: "/v1/users" });
  });

  it("begin yesterday at the reader's midnight", async () => {
    visit("/dashboard/usage?when=yesterday");
    const seen = serve(empty);
    show(<Requests openId="" onOpen={() => undefined} />);
    expect(await screen.findByText("No request matches the filters")).toBeVisible();
    const { since = "", until = "" } = asked(seen)[0] ?? {};
    expect([since.slice(11), until.slice(11)]).toEqual(["17:00:00.000Z", "17:00:00.000Z"]);
    expect(Date.parse(until) - Date.parse(since)).toBe(86_400_000);
  });

  it("are in the address: a preset, bounds, and nothing", async () => {
    serve(empty);
    show(<Requests openId="" onOpen={() => undefined} />);
    fireEvent.change(await screen.findByLabelText("Time", { selector: "select" }), { target: { value: "24h" } });
    expect(address.visited.at(-1)).toBe("/dashboard/usage?when=24h");
  });
});

describe("a row of the list", () => {
  it("shows the program, and the model that responded if it is another one", async () => {
    const [renamed, same] = [{ ...LINE, model: "fast", answered_model: "gpt-5-mini", program: "codex" }, { ...LINE, id: "r2", model: "up/m", answered_model: "m", program: "unknown" }];
    serve({ "GET /api/usage/requests": { body: { items: [renamed, same], next: null } } });
    show(<Requests openId="" onOpen={() => undefined} />);
    expect(await screen.findByText("→ gpt-5-mini")).toBeVisible();
    expect(screen.getByText("codex")).toBeVisible();
    expect(screen.queryByText("→ m")).toBeNull();
    expect(screen.queryByText("unknown")).toBeNull();
  });
});

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
