import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";

import { GrantsDialog } from "@/features/users/grants-dialog";
import { UserTable } from "@/features/users/user-table";
import type { UserDetail } from "@/features/users/use-users";
import { show } from "@/tests/render";
import { refusal, serve } from "@/tests/server";

const USER: UserDetail = {
  id: "u1", kind: "person", name: "Ada", email: "ada@example.com", plan: "starter", role: "member", status: "active", created_at: "2026-11-01T00:00:00Z",
  grants: [{ role: "finance", label: null }], labels: {},
};

describe("roles beside admin and member", () => {
  it("are replaced, with the label that limits one", async () => {
    const closed = vi.fn();
    const seen = serve({ "PATCH /api/users/u1": { body: USER } });
    show(<GrantsDialog user={USER} onClose={closed} />);
    const field = screen.getByLabelText("Other roles");
    expect(field).toHaveValue("finance");
    await userEvent.type(field, ", team_lead:team=payments");
    await userEvent.click(screen.getByRole("button", { name: "Save changes" }));
    await waitFor(() => expect(closed).toHaveBeenCalledOnce());
    const body = { grants: [{ role: "finance", label: null }, { role: "team_lead", label: "team=payments" }] };
    expect(seen.find(({ line }) => line === "PATCH /api/users/u1")?.body).toEqual(body);
  });

  it("that the server refuses stay in the field, with the reason", async () => {
    serve({ "PATCH /api/users/u1": refusal("unprocessable", 422, "no such role") });
    show(<GrantsDialog user={USER} onClose={() => undefined} />);
    const field = screen.getByLabelText("Other roles");
    await userEvent.clear(field);
    await userEvent.type(field, "finnance");
    await userEvent.click(screen.getByRole("button", { name: "Save changes" }));
    expect(await screen.findByText(/no such role/)).toBeInTheDocument();
    expect(field).toHaveValue("finnance");
  });

  it("are tags in the list of users", () => {
    const nothing = () => undefined;
    show(<UserTable users={[USER]} openId="" onOpen={nothing} onTask={nothing} />);
    expect(screen.getByRole("row", { name: /Ada/ })).toHaveTextContent("memberfinance");
  });
});
