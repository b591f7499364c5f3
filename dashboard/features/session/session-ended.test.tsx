import { useQuery, useQueryClient } from "@tanstack/react-query";
import { fireEvent, screen, waitFor } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { SessionEnded } from "@/features/session/session-ended";
import { useSession } from "@/features/session/session-state";
import { api } from "@/lib/api";
import { router } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { serve } from "@/tests/server";

const me = (id: string) => ({ body: { user: { id }, acts_as: "member", roles: [] } });

/** A page of the user `u1` below the sign-in. */
function Page() {
  const client = useQueryClient();
  const keys = useQuery({ queryKey: ["keys"], queryFn: () => Promise.resolve("new keys"), enabled: false, initialData: "keys of u1" });
  if (client.getQueryData(["me"]) === undefined) client.setQueryData(["me"], me("u1").body);
  return (
    <>
      <p>{keys.data}</p>
      <SessionEnded />
    </>
  );
}

function LiveKeys() {
  useQuery({ queryKey: ["live"], queryFn: () => api("get", "/api/keys"), retry: false });
  return null;
}

async function signIn() {
  fireEvent.change(await screen.findByLabelText("Email"), { target: { value: "ada@example.com" } });
  fireEvent.change(screen.getByLabelText("Password"), { target: { value: "a password" } });
  fireEvent.click(screen.getByRole("button", { name: "Sign in" }));
}

describe("the sign-in over a page", () => {
  it("leaves the page if another user signs in", async () => {
    serve({ "GET /api/site": { body: SITE }, "POST /api/auth/login": { body: {} }, "GET /api/me": me("u2") });
    show(<Page />);
    await signIn();
    await waitFor(() => expect(router.replace).toHaveBeenCalledWith("/dashboard/overview"));
  });

  it("stays for the same user, and the page is read again", async () => {
    const keys = { body: { items: [] } };
    const seen = serve({ "GET /api/site": { body: SITE }, "POST /api/auth/login": { body: {} }, "GET /api/me": me("u1"), "GET /api/keys": keys });
    useSession.getState().signedIn();
    useSession.getState().end();
    show(<><Page /><LiveKeys /></>);
    await signIn();
    await waitFor(() => expect(useSession.getState().state).toBe("assumed"));
    await waitFor(() => expect(seen.map(({ line }) => line).slice(-2)).toEqual(["GET /api/me", "GET /api/keys"]));
    expect(router.replace).not.toHaveBeenCalled();
  });

  it("sends nothing that needs a session before", async () => {
    const seen = serve({ "GET /api/site": { body: SITE }, "GET /api/me": me("u1") });
    useSession.getState().signedIn();
    useSession.getState().end();
    await expect(api("get", "/api/keys")).rejects.toMatchObject({ status: 401 });
    await expect(api("get", "/api/site")).resolves.toBeDefined();
    expect(seen.map(({ line }) => line)).toEqual(["GET /api/site"]);
  });
});
