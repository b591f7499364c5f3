import { QueryClient, QueryClientProvider, useQuery, useQueryClient } from "@tanstack/react-query";
import { act, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";

import { Shell } from "@/features/frame/shell";
import { SessionEnded } from "@/features/session/session-ended";
import { useSession } from "@/features/session/session-state";
import { api } from "@/lib/api";
import { router } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { refusal, serve } from "@/tests/server";

const me = (id: string) => ({ body: { user: { id, name: "Ada" }, acts_as: "member", roles: [] } });

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

  it("keeps the page if the user cannot be read once", async () => {
    serve({ "GET /api/site": { body: SITE }, "POST /api/auth/login": { body: {} }, "GET /api/me": [refusal("unavailable", 503), me("u1")] });
    useSession.getState().signedIn();
    useSession.getState().end();
    show(<Page />);
    await signIn();
    expect(await screen.findByRole("alert")).toHaveTextContent("The sign-in failed");
    expect(screen.getByText("keys of u1")).toBeInTheDocument();
    expect(useSession.getState().state).toBe("ended");
    fireEvent.click(screen.getByRole("button", { name: "Sign in" }));
    await waitFor(() => expect(useSession.getState().state).toBe("assumed"));
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

describe("a sign-in in another tab", () => {
  function page() {
    const client = new QueryClient({ defaultOptions: { queries: { retry: false, networkMode: "always" } } });
    const open = () => render(<QueryClientProvider client={client}><Shell page="keys"><p>keys</p></Shell></QueryClientProvider>);
    return { client, open, view: open() };
  }

  it("ends the sign-in of this tab when it reads the user again", async () => {
    serve({ "GET /api/site": { body: SITE }, "GET /api/me": me("u1") });
    const { client } = page();
    await waitFor(() => expect(useSession.getState().wasSignedIn).toBe(true));
    act(() => useSession.getState().end());
    expect(await screen.findByRole("dialog")).toBeVisible();
    expect(useSession.getState().state).toBe("ended");
    await act(() => client.refetchQueries({ queryKey: ["me"] }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(useSession.getState().state).toBe("assumed");
  });

  it("of another user leaves the page, with all data of the first one", async () => {
    serve({ "GET /api/site": { body: SITE }, "GET /api/me": [me("u1"), me("u2")] });
    const { client } = page();
    await waitFor(() => expect(useSession.getState().user).toBe("u1"));
    client.setQueryData(["keys"], "keys of u1");
    act(() => useSession.getState().end());
    expect(await screen.findByRole("dialog")).toBeVisible();
    await act(() => client.refetchQueries({ queryKey: ["me"] }));
    await waitFor(() => expect(useSession.getState().user).toBe("u2"));
    expect(router.replace).toHaveBeenCalledWith("/dashboard/overview");
    expect(client.getQueryData(["keys"])).toBeUndefined();
    expect(client.getQueryData(["site"])).toBeDefined();
    expect(screen.queryByRole("dialog")).toBeNull();
  });

  it("is not concluded from a user whose reading began before the end", async () => {
    serve({ "GET /api/site": { body: SITE }, "GET /api/me": me("u1") });
    const { client } = page();
    await waitFor(() => expect(useSession.getState().wasSignedIn).toBe(true));
    const answers: ((response: Response) => void)[] = [];
    vi.stubGlobal("fetch", () => new Promise<Response>((resolve) => answers.push(resolve)));
    const read = client.refetchQueries({ queryKey: ["me"] });
    await waitFor(() => expect(answers).toHaveLength(1));
    act(() => useSession.getState().end());
    expect(await screen.findByRole("dialog")).toBeVisible();
    await act(async () => {
      answers[0]?.(new Response(JSON.stringify(me("u1").body)));
      await read;
    });
    expect(client.getQueryState(["me"])?.dataUpdateCount).toBe(1);
    expect(useSession.getState().state).toBe("ended");
  });

  it("is not concluded by another page from the user that is known", async () => {
    serve({ "GET /api/site": { body: SITE }, "GET /api/me": me("u1") });
    const { open, view } = page();
    await waitFor(() => expect(useSession.getState().wasSignedIn).toBe(true));
    act(() => useSession.getState().end());
    expect(await screen.findByRole("dialog")).toBeVisible();
    view.unmount();
    open();
    expect(await screen.findByRole("dialog")).toBeVisible();
    expect(useSession.getState().state).toBe("ended");
  });
});
