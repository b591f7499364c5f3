import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";

import { SetDialog } from "@/features/budgets/set-dialog";
import { show } from "@/tests/render";
import { serve } from "@/tests/server";

const page = (...items: unknown[]) => ({ body: { items, next: null } });
const user = (id: string, name: string) => ({ id, kind: "person", name, email: `${name}@example.com`, plan: "starter", role: "member", status: "active", created_at: "2026-11-01T00:00:00Z" });
const key = (id: string, label: string) => ({ id, label, last4: "cdef", revoked_at: null });

describe("SetDialog", () => {
  it("sets no budget of a key whose user is no longer the one that is shown", async () => {
    const seen = serve({
      "GET /api/users": [page(user("u1", "ada")), page(user("u2", "bob"))],
      "GET /api/users/u1/keys": page(key("k1", "laptop")),
      "GET /api/users/u2/keys": page(key("k2", "robot")),
      "GET /api/plans": page(),
      "GET /api/budgets": page(),
      "PUT /api/budgets/key/k2/money/month": { body: {} },
    });
    const onClose = vi.fn();
    show(<SetDialog proposed={{ dimension: "key", email: "ada@example.com" }} onClose={onClose} />);
    await screen.findByRole("option", { name: "laptop …cdef" });
    await userEvent.selectOptions(screen.getByLabelText("Key"), "k1");
    await userEvent.type(screen.getByLabelText("Amount"), "7");
    await userEvent.clear(screen.getByLabelText("Email of the user"));
    await userEvent.paste("bob@example.com");
    await screen.findByRole("option", { name: "robot …cdef" });
    expect(screen.getByLabelText("Key")).toHaveValue("");
    await userEvent.click(screen.getByRole("button", { name: "Set budget" }));
    expect(await screen.findByText("Choose a key of this user")).toBeVisible();
    expect(seen.some(({ line }) => line.startsWith("PUT"))).toBe(false);
    await userEvent.selectOptions(screen.getByLabelText("Key"), "k2");
    await userEvent.click(screen.getByRole("button", { name: "Set budget" }));
    await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
    expect(seen.filter(({ line }) => line.startsWith("PUT")).map(({ body }) => body)).toEqual([{ money: "7 USD" }]);
  });
});
