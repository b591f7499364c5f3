import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";

import { LabelsDialog } from "@/features/users/labels-dialog";
import type { UserDetail } from "@/features/users/use-users";
import { show } from "@/tests/render";
import { refusal, serve } from "@/tests/server";

const USER: UserDetail = {
  id: "u1", kind: "person", name: "Ada", email: "ada@example.com", plan: "starter", role: "member", status: "active", created_at: "2026-11-01T00:00:00Z",
  grants: [], labels: { team: "payments" },
};

describe("LabelsDialog", () => {
  it("replaces all labels, and closes", async () => {
    const closed = vi.fn();
    const seen = serve({ "PATCH /api/users/u1": { body: { ...USER, labels: { team: "core", tier: "gold" } } } });
    show(<LabelsDialog user={USER} onClose={closed} />);
    const field = screen.getByLabelText("Labels");
    expect(field).toHaveValue("team=payments");
    await userEvent.clear(field);
    await userEvent.type(field, "tier=gold, team=core");
    await userEvent.click(screen.getByRole("button", { name: "Save changes" }));
    await waitFor(() => expect(closed).toHaveBeenCalledOnce());
    expect(seen.find(({ line }) => line === "PATCH /api/users/u1")?.body).toEqual({ labels: { team: "core", tier: "gold" } });
  });

  it("keeps the text after a refusal, and sends nothing that is wrong", async () => {
    const seen = serve({ "PATCH /api/users/u1": refusal("unavailable", 503) });
    show(<LabelsDialog user={USER} onClose={() => undefined} />);
    const field = screen.getByLabelText("Labels");
    await userEvent.clear(field);
    await userEvent.type(field, "Team");
    await userEvent.click(screen.getByRole("button", { name: "Save changes" }));
    expect(field).toBeInvalid();
    expect(seen.filter(({ line }) => line.startsWith("PATCH"))).toEqual([]);
    await userEvent.clear(field);
    await userEvent.click(screen.getByRole("button", { name: "Save changes" }));
    await waitFor(() => expect(seen.filter(({ line }) => line.startsWith("PATCH"))).toHaveLength(1));
    expect(field).toHaveValue("");
  });
});
