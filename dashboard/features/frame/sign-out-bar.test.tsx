import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";

import { SignOut } from "@/features/frame/navigation";
import { SignOutBar } from "@/features/frame/sign-out-bar";
import { router } from "@/tests/navigation";
import { show } from "@/tests/render";
import { type Answer, refusal, serve } from "@/tests/server";

async function signOut(...answers: Answer[]) {
  const seen = serve({ "POST /api/auth/logout": answers });
  show(<><SignOut place="wide-only" /><SignOutBar /></>);
  await userEvent.click(screen.getByRole("button", { name: "Sign out" }));
  return seen;
}

describe("SignOutBar", () => {
  it.each([["a server that fails", refusal("unavailable", 503)], ["no network", { isLost: true }]])("stays on the page after %s, and tries again", async (_, answer) => {
    await signOut(answer, { body: { status: "signed_out" } });
    expect(await screen.findByRole("alert")).toHaveTextContent("This browser may still be signed in");
    expect(router.replace).not.toHaveBeenCalled();
    await userEvent.click(screen.getByRole("button", { name: "Try again" }));
    await waitFor(() => expect(router.replace).toHaveBeenCalledWith("/dashboard/login"));
    expect(screen.queryByRole("alert")).toBeNull();
  });

  it("opens the sign-in if the session has ended before", async () => {
    await signOut(refusal("unauthorized", 401));
    await waitFor(() => expect(router.replace).toHaveBeenCalledWith("/dashboard/login"));
    expect(screen.queryByRole("alert")).toBeNull();
  });
});
