import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { ConfigurationPage } from "@/features/configuration/configuration-page";
import { readDraft, storeDraft } from "@/features/configuration/draft";
import { problemsOf, restartKeys, sectionsOf } from "@/features/configuration/problems";
import { diff, partsOf } from "@/features/configuration/text-diff";
import { offsetOf } from "@/features/configuration/text-editor";
import { ApiError } from "@/lib/api";
import { address, visit } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { type Answer, serve } from "@/tests/server";

const USER = { id: "u1", name: "Ada", email: "ada@example.com", plan: "starter", role: "admin", status: "active", created_at: "2026-11-01T00:00:00Z" };
const YAML = "log: {level: info}\nroutes:\n  - {name: a, path: /a, upstreams: u}\n";
const RUNNING = { source: "file", name: "tollgate.yaml", id: null, digest: "d1", applied_at: "2026-11-20T08:03:52Z", yaml: YAML, settings: [] };
const CHANGES = { changes: [{ key: "log.level", before: "info", after: "debug" }], more: 0, notes: [], digest: "d2", id: "c1" };
const ENTRY = { id: "c0", number: 3, source: "api", digest: "d0", applied_at: "2026-11-19T08:00:00Z", actor: "user", user_id: "u1", has_text: true, is_running: false };

function answering(answers: Record<string, Answer | Answer[]>): ReturnType<typeof serve> {
  return serve({
    "GET /api/me": { body: { user: USER, acts_as: "admin", roles: [] } },
    "GET /api/site": { body: SITE },
    "GET /api/keys": { body: { items: [], next: null } },
    "GET /api/models": { body: { items: [], next: null } },
    "GET /api/users/u1": { body: USER },
    "GET /api/config": { body: RUNNING },
    ...answers,
  });
}

const invalid = (...problems: object[]): Answer => ({ status: 422, body: { error: { code: "unprocessable", message: "invalid", status: 422, problems } } });

beforeEach(() => visit("/dashboard/configuration"));

describe("a diff", () => {
  it("numbers the lines of both texts, and finds what was inserted", () => {
    expect(diff("a\nb\nc\n", "a\nx\nb\nc\n")).toEqual([
      { kind: "same", text: "a", before: 1, after: 1 },
      { kind: "added", text: "x", after: 2 },
      { kind: "same", text: "b", before: 2, after: 3 },
      { kind: "same", text: "c", before: 3, after: 4 },
    ]);
    expect(diff("a\r\nb", "a\nb\n").every(({ kind }) => kind === "same")).toBe(true);
    expect(diff("", "a").map(({ kind }) => kind)).toEqual(["added"]);
    expect(diff("a\nb\nc", "b\nd").map(({ kind, text }) => `${kind} ${text}`)).toEqual(["removed a", "same b", "removed c", "added d"]);
  });

  it("rebuilds both texts, also of large ones", () => {
    const lines = (from: number, count: number) => Array.from({ length: count }, (_, at) => `line ${from + at}`);
    for (const [before, after] of [[lines(0, 40), lines(7, 40)], [lines(0, 3_000), lines(5_000, 3_000)]] as const) {
      const found = diff(before.join("\n"), after.join("\n"));
      expect(found.filter(({ kind }) => kind !== "added").map(({ text }) => text)).toEqual(before);
      expect(found.filter(({ kind }) => kind !== "removed").map(({ text }) => text)).toEqual(after);
    }
  });

  it("hides lines that are far from a change", () => {
    const old = Array.from({ length: 20 }, (_, at) => `${at}`);
    const parts = partsOf(diff(old.join("\n"), [...old.slice(0, 10), "new", ...old.slice(10)].join("\n")));
    expect(parts.map((part) => ("hidden" in part ? part.hidden : part.lines.length))).toEqual([7, 7, 7]);
  });
});

describe("the problems of a configuration", () => {
  it("name the keys that need a restart once", () => {
    const problems = [
      { code: "needs_restart", message: "`listen` cannot change while Tollgate runs", file: null, line: 1, column: 9, text: "" },
      { code: "needs_restart", message: "`listen` cannot change while Tollgate runs", file: null, line: 2, column: 9, text: "" },
      { code: "unknown_key", message: "`rutes` is no key", file: null, line: 3, column: 1, text: "" },
    ];
    expect(restartKeys(problems)).toEqual(["listen"]);
    expect(problemsOf(new ApiError({ status: 422, code: "unprocessable", message: "", problems }))).toHaveLength(3);
    expect(problemsOf(new ApiError({ status: 500, code: "internal", message: "" }))).toEqual([]);
  });

  it("have a place in the text", () => {
    expect([offsetOf("ab\ncde\n", 2, 3), offsetOf("ab\ncde\n", 1, 99), offsetOf("ab", 9, 1)]).toEqual([5, 2, 2]);
    expect(sectionsOf("# x\nlog: {level: info}\n\"routes\":\n  - a: 1\nkey:value\n")).toEqual([{ name: "log", line: 2 }, { name: "routes", line: 3 }]);
  });
});

describe("a draft", () => {
  it("is that of one user", () => {
    storeDraft("u1", { text: "a", base: "d1" });
    expect([readDraft("u1"), readDraft("u2")]).toEqual([{ text: "a", base: "d1" }, undefined]);
    sessionStorage.setItem("configuration-draft", "{broken");
    expect(readDraft("u1")).toBeUndefined();
  });
});

describe("ConfigurationPage", () => {
  it("shows the running configuration with its source, and warns of masked secrets", async () => {
    answering({ "GET /api/config": { body: { ...RUNNING, yaml: "metrics:\n  token: \"***\"\n" } } });
    show(<ConfigurationPage />);
    expect(await screen.findByText("File tollgate.yaml")).toBeVisible();
    expect(screen.getByText(/Comments are removed and secrets are shown as \*\*\*/)).toBeVisible();
    expect(screen.getByRole("button", { name: "metrics" })).toBeVisible();
    expect(screen.getByText("Lines: 2")).toBeVisible();
  });

  it("says that no file is in force", async () => {
    answering({ "GET /api/config": { body: { ...RUNNING, name: "", yaml: "" } } });
    show(<ConfigurationPage />);
    expect(await screen.findByText("No file: defaults, variables and flags")).toBeVisible();
    expect(screen.getByText(/all settings have their defaults/)).toBeVisible();
  });

  it("lists the problems of a text, keeps it, and moves to a problem's line", async () => {
    address.query = "view=edit";
    answering({ "POST /api/config/validate": invalid({ code: "needs_restart", message: "`listen` cannot change", file: "configuration", line: 2, column: 3, text: "error[needs_restart]" }) });
    show(<ConfigurationPage />);
    const editor = await screen.findByLabelText<HTMLTextAreaElement>("New configuration");
    await userEvent.clear(editor);
    await userEvent.type(editor, "log:{Enter}  x: 1");
    await userEvent.click(screen.getByRole("button", { name: "Validate" }));
    expect(await screen.findByText("A restart is needed for listen")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Line 2, column 3" }));
    expect(editor).toHaveFocus();
    expect(editor.selectionStart).toBe("log:\n  ".length);
    expect(editor).toHaveValue("log:\n  x: 1");
    expect(readDraft("u1")?.text).toBe("log:\n  x: 1");
  });

  it("applies only after a confirmation, over the configuration from which the text was copied", async () => {
    address.query = "view=edit";
    storeDraft("u1", { text: "log: {level: debug}\n", base: "d1" });
    const seen = answering({ "POST /api/config": { body: CHANGES } });
    const sent = vi.spyOn(globalThis, "fetch");
    show(<ConfigurationPage />);
    expect(await screen.findByLabelText("New configuration")).toHaveValue("log: {level: debug}\n");
    await userEvent.click(screen.getByRole("button", { name: "Apply configuration" }));
    const dialog = screen.getByRole("dialog", { name: "Apply this configuration?" });
    expect(seen.some(({ line }) => line.startsWith("POST"))).toBe(false);
    expect(within(dialog).getByText("log: {level: debug}")).toBeVisible();
    await userEvent.click(within(dialog).getByRole("button", { name: "Apply configuration" }));
    expect(await screen.findByText("The configuration is in force")).toBeVisible();
    const request = sent.mock.calls.find(([, init]) => init?.method === "POST")?.[1];
    expect(request?.headers).toMatchObject({ "If-Match": "\"d1\"" });
    expect(readDraft("u1")).toBeUndefined();
  });

  it("explains a conflict, and lets the reader compare and continue", async () => {
    address.query = "view=edit";
    storeDraft("u1", { text: "log: {level: debug}\n", base: "d0" });
    answering({ "POST /api/config": { status: 409, body: { error: { code: "conflict", message: "changed", status: 409 } } } });
    show(<ConfigurationPage />);
    expect(await screen.findByText("The running configuration has changed since this text was copied.")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Apply configuration" }));
    await userEvent.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Apply configuration" }));
    expect(await screen.findByText("Another configuration was applied in the meantime")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Compare with the running configuration" }));
    expect(await screen.findByRole("region", { name: "Diff from the running configuration" })).toBeVisible();
    expect(readDraft("u1")).toEqual({ text: "log: {level: debug}\n", base: "d1" });
  });

  it("rolls back after a confirmation that shows the difference", async () => {
    address.query = "view=history";
    const entries = [{ ...ENTRY, id: "c1", number: 4, is_running: true }, ENTRY, { ...ENTRY, id: "c2", number: 2, has_text: false, source: "file", user_id: null }];
    const seen = answering({
      "GET /api/config/history": { body: { items: entries, next: null } },
      "GET /api/config/history/c0": { body: { ...ENTRY, yaml: "log: {level: warn}\n" } },
      "POST /api/config/rollback": { body: CHANGES },
    });
    show(<ConfigurationPage />);
    expect(await screen.findByRole("button", { name: "Roll back: 4" })).toBeDisabled();
    expect(screen.getByText("Not stored")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Roll back: 3" }));
    const dialog = screen.getByRole("dialog", { name: "Roll back to entry 3?" });
    expect(await within(dialog).findByText("log: {level: warn}")).toBeVisible();
    await userEvent.click(within(dialog).getByRole("button", { name: "Roll back" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(seen.find(({ line }) => line === "POST /api/config/rollback")?.body).toEqual({ id: "c0" });
  });

  it("says why the configuration could not be read", async () => {
    answering({ "GET /api/config": { status: 500, body: { error: { code: "internal", message: "x", status: 500 } } } });
    show(<ConfigurationPage />);
    expect(await screen.findByText("The server failed (500)")).toBeVisible();
  });
});
