import { readFileSync } from "node:fs";

import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { DayPage } from "@/features/day/day-page";
import { address, router } from "@/tests/navigation";
import { show } from "@/tests/render";
import { refusal, serve } from "@/tests/server";

const MEMBER = { user: { id: "u1", name: "Ada", email: "ada@example.com", plan: "starter", role: "member", kind: "person", status: "active", created_at: "2026-11-01T00:00:00Z" }, acts_as: "member", roles: [], session_id: "s", key_id: null };
const read = (name: string) => JSON.parse(readFileSync(`../examples/insights/${name}`, "utf8")) as Record<string, object>;
const RUNTIME = read("runtime.json");
const BRIEF = read("brief_test.json");
const CHARTS = { id: "test-001", assets: [{ name: "spend.svg", media_type: "image/svg+xml", sha256: "", data: "<svg/>", table: [] }] };

describe("the page of a day", () => {
  beforeEach(() => {
    vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined, removeEventListener: () => undefined }));
  });

  it("shows the brief, the savings and the progress of the example files", async () => {
    serve({ "GET /api/me": { body: MEMBER }, "GET /brief/today": { body: BRIEF }, "GET /roi/today": { body: RUNTIME["roi_today"] }, "GET /ingest/status": { body: RUNTIME["ingest_status"] }, "GET /classify/today": { body: read("classify_today.json") }, "POST /assets/generate": { body: CHARTS } });
    show(<DayPage />);
    expect(await screen.findByText(/^\$12\.50* spent/)).toBeInTheDocument();
    expect(screen.getByText(/ more than on the same weekday of the week before; 410 of 1,000 requests: Agent session\.$/)).toBeInTheDocument();
    expect(screen.getByLabelText("Day")).toHaveValue(new Date().toISOString().slice(0, 10));
    expect(screen.getByText(/, between /)).toBeInTheDocument();
    expect(await screen.findByText("codex (95 % sure)")).toBeInTheDocument();
    expect(await screen.findByRole("img", { name: "Chart of the cost" })).toHaveAttribute("src", "data:image/svg+xml,%3Csvg%2F%3E");
    expect(screen.getByRole("heading", { name: "Requests by class" })).toBeVisible();
    expect(screen.getByRole("table", { name: "Requests by class" })).toHaveTextContent("Agent session410");
    expect(screen.getByRole("table", { name: "Changes since the same weekday" })).toHaveTextContent("openai/gpt-5-mini");
    expect(screen.getByText(/far above those of other Saturdays/)).toBeInTheDocument();
    expect(await screen.findByText(/the amount that a refused call would have cost is not recorded/)).toBeInTheDocument();
    expect(await screen.findByText(/1,000 requests are stored/)).toBeInTheDocument();
    expect(screen.getByText("Refused requests").nextElementSibling).toHaveTextContent("3");
    expect(screen.getByText("Cost of users' own credentials").nextElementSibling).toHaveTextContent("$0.40");
    expect(screen.getByText(/own credentials cost \$0\.400* more/)).toBeInTheDocument();
  });

  it("says that a day has no usage", async () => {
    const empty = { ...BRIEF, spend: { ...BRIEF["spend"], requests: 0, refused: 0 } };
    serve({ "GET /api/me": { body: MEMBER }, "GET /brief/today": { body: empty }, "GET /roi/today": refusal("unavailable", 503), "GET /ingest/status": refusal("unavailable", 503) });
    show(<DayPage />);
    expect(await screen.findByText("No requests on this day")).toBeInTheDocument();
  });

  it("explains the day of a label, which the address has", async () => {
    address.query = "label=team%3Dpayments";
    serve({ "GET /api/me": { body: MEMBER }, "GET /brief/today~team%3Dpayments": { body: BRIEF }, "GET /brief/today~team=payments": { body: BRIEF }, "GET /roi/today": { body: RUNTIME["roi_today"] }, "GET /ingest/status": { body: RUNTIME["ingest_status"] } });
    show(<DayPage />);
    expect(await screen.findByText(/^\$12\.50* spent/)).toBeInTheDocument();
    const field = screen.getByLabelText("Label");
    await userEvent.clear(field);
    await userEvent.type(field, "team{Enter}");
    expect(field).toBeInvalid();
    expect(router.replace).not.toHaveBeenCalled();
    await userEvent.type(field, "=core{Enter}");
    expect(router.replace).toHaveBeenCalledWith("/?label=team%3Dcore", { scroll: false });
  });

  it("exports the day, and shows why that fails", async () => {
    serve({
      "GET /api/me": { body: MEMBER }, "GET /brief/today": { body: BRIEF }, "GET /roi/today": { body: RUNTIME["roi_today"] }, "GET /ingest/status": { body: RUNTIME["ingest_status"] },
      "POST /export/test-001": [refusal("unavailable", 503, "the store does not respond"), { text: "PK" }],
    });
    const url = vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:1");
    vi.spyOn(URL, "revokeObjectURL").mockReturnValue();
    show(<DayPage />);
    await userEvent.click(await screen.findByRole("button", { name: "Export day" }));
    expect(await screen.findByText("The export was not made")).toBeInTheDocument();
    expect(url).not.toHaveBeenCalled();
    await userEvent.click(screen.getByRole("button", { name: "Export day" }));
    await vi.waitFor(() => expect(url).toHaveBeenCalledOnce());
  });

  it("shows why a brief cannot be read", async () => {
    serve({ "GET /api/me": { body: MEMBER }, "GET /brief/today": refusal("not_found", 404, "no brief has this id"), "GET /roi/today": { body: RUNTIME["roi_today"] }, "GET /ingest/status": { body: RUNTIME["ingest_status"] } });
    show(<DayPage />);
    expect(await screen.findByText("no brief has this id")).toBeInTheDocument();
  });
});
