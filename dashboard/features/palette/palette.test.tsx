import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { Box } from "lucide-react";

import { type Command, SHOWN_MAX, matching } from "@/features/palette/commands";
import { Jump } from "@/features/palette/jump";
import { ShortcutReader } from "@/features/palette/shortcuts";
import { usePreferences } from "@/lib/preferences";
import { address, router } from "@/tests/navigation";
import { show } from "@/tests/render";
import { serve } from "@/tests/server";

const command = (label: string, group: Command["group"] = "pages"): Command => ({ id: label, group, label, icon: Box, run: () => undefined });

describe("matching", () => {
  it("needs every word, and prefers a beginning", () => {
    const all = ["Create key", "Keys", "Usage", "مفتاح 🔑"].map((label) => command(label));
    const found = (text: string) => matching(all, text).map(({ label }) => label);
    expect(found("")).toHaveLength(4);
    expect(found("key")).toEqual(["Keys", "Create key"]);
    expect(found("KEY  cre")).toEqual(["Create key"]);
    expect(found("مفتاح")).toEqual(["مفتاح 🔑"]);
    expect(found("[a-z]*")).toEqual([]);
  });

  it("is bounded", () => {
    expect(matching(Array.from({ length: 500 }, (_, at) => command(`model ${at}`, "models")), "")).toHaveLength(SHOWN_MAX);
  });
});

describe("ShortcutReader", () => {
  const press = (key: string, change = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, isTyping: false, at: 0, ...change });

  it("reads single keys, pairs, and the palette everywhere", () => {
    const reader = new ShortcutReader();
    expect(reader.read(press("k", { ctrlKey: true, isTyping: true }), false)).toBe("palette");
    expect(reader.read(press("K", { metaKey: true }), true)).toBe("palette");
    expect(reader.read(press("?"), true)).toBe("help");
    expect(reader.read(press("t"), true)).toBe("theme");
    expect(reader.read(press("g"), true)).toBeUndefined();
    expect(reader.read(press("k", { at: 300 }), true)).toBe("keys");
    expect(reader.read(press("k", { at: 400 }), true)).toBeUndefined();
  });

  it("reads no text as a shortcut, and forgets a pair that is too slow", () => {
    const reader = new ShortcutReader();
    for (const change of [{ isTyping: true }, { ctrlKey: true }, { altKey: true }]) expect(reader.read(press("t", change), true)).toBeUndefined();
    expect(reader.read(press("t"), false)).toBeUndefined();
    reader.read(press("g"), true);
    expect(reader.read(press("u", { at: 5_000 }), true)).toBeUndefined();
  });
});

describe("Jump", () => {
  beforeEach(() => {
    const key = { id: "1", label: "ci <b>", prefix: "acme", last4: "9f3c", revoked_at: null, last_used_at: "2026-11-21T00:00:00Z" };
    serve({ "GET /api/keys": { body: { items: [key], next: null } }, "GET /api/models": { body: { items: [{ name: "fast", aliases: [], formats: ["chat"] }], next: null } } });
  });

  it("opens by keyboard, is filtered, and runs what the arrows choose", async () => {
    show(<Jump />);
    await userEvent.keyboard("{Control>}k{/Control}");
    const field = await screen.findByRole("combobox", { name: "Search or jump to" });
    expect(field).toHaveFocus();
    expect(await screen.findByRole("option", { name: "ci <b> …9f3c" })).toBeInTheDocument();
    await userEvent.keyboard("{ArrowDown}");
    const active = document.getElementById(field.getAttribute("aria-activedescendant") ?? "");
    expect(active).toHaveTextContent("Usage");
    await userEvent.type(field, "fast{Enter}");
    expect(router.push).toHaveBeenCalledWith("/dashboard/playground?model=fast");
    expect(screen.queryByRole("combobox")).toBeNull();
  });

  it("finds users and plans for admins", async () => {
    serve({
      "GET /api/me": { body: { user: { id: "u1" }, acts_as: "admin", roles: [] } },
      "GET /api/users": { body: { items: [{ id: "u2", name: "Budi", email: "budi@example.com" }], next: null } },
      "GET /api/plans": { body: { items: [{ name: "gold" }], next: null } },
    });
    show(<Jump />);
    await userEvent.keyboard("{Control>}k{/Control}");
    await userEvent.type(await screen.findByRole("combobox", { name: "Search or jump to" }), "gold");
    expect(await screen.findByRole("option", { name: "gold" })).toBeInTheDocument();
    await userEvent.clear(screen.getByRole("combobox"));
    await userEvent.type(screen.getByRole("combobox"), "budi@");
    await userEvent.click(await screen.findByRole("option", { name: /Budi/ }));
    expect(router.push).toHaveBeenCalledWith("/dashboard/users?id=u2");
  });

  it("says that nothing was found, and closes with Esc", async () => {
    show(<Jump />);
    await userEvent.click(screen.getByRole("button", { name: "Search or jump to" }));
    await userEvent.keyboard("zzz{Enter}");
    expect(screen.getByRole("status")).toHaveTextContent("Nothing is named “zzz”");
    await userEvent.keyboard("{Escape}");
    expect(screen.queryByRole("dialog")).toBeNull();
    expect(address.visited).toEqual([]);
  });

  it("lists the shortcuts, which can be turned off", async () => {
    show(<Jump />);
    await userEvent.keyboard("?");
    await userEvent.click(await screen.findByLabelText("Single keys are shortcuts outside of text fields"));
    await userEvent.keyboard("{Escape}");
    await userEvent.keyboard("c");
    expect(address.visited).toEqual([]);
    usePreferences.getState().setShortcuts(true);
    await userEvent.keyboard("c");
    expect(router.push).toHaveBeenCalledWith("/dashboard/keys?create=1");
  });
});
