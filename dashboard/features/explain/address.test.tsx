import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";

import { EMPTY, explainLink, fromAddress, inAddress, secretOf } from "@/features/explain/address";
import { ExplainPage } from "@/features/explain/explain-page";
import { address, visit } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { type Answer, refusal, serve } from "@/tests/server";

const SECRET = "acme_0123456789abcdef0123456789abcdef";
const KEY = "0199aa00-0000-7000-8000-000000000001";
const USER = { id: "u1", name: "Ada", email: "ada@example.com", plan: "starter", role: "admin", status: "active", created_at: "2026-11-01T00:00:00Z" };
const EXPLANATION = {
  request: { method: "POST", host: null, path: "/v1/chat/completions", query: null }, route: null, others: [], authentication: null, rate_limits: [], action: null,
  refusal: null, status: null, as: { id: KEY, label: "laptop", last4: "cdef", user_id: "u1", user_name: "Ada", plan: "starter" }, limits: [], subject: null, budgets: [], budgets_reason: null,
};

function answering(validated: Answer): ReturnType<typeof serve> {
  return serve({
    "GET /api/me": { body: { user: USER, acts_as: "admin", roles: [] } },
    "GET /api/site": { body: SITE },
    "GET /api/keys": { body: { items: [], next: null } },
    "GET /api/models": { body: { items: [], next: null } },
    "POST /api/auth/validate": validated,
    "POST /api/explain": { body: EXPLANATION },
  });
}

describe("the address of an explanation", () => {
  it("has the request and no secret of it", () => {
    const values = { ...EMPTY, method: "POST", url: "https://ada:pw@a.example/x?key=AIza&q=1&access_token=t", headers: "Authorization: Bearer abc\nX-Tenant: acme\nCookie: a=b\nX-Goog-Api-Key: k", key: KEY };
    const written = inAddress(values);
    expect(written).toEqual({ method: "POST", url: "https://a.example/x?q=1", headers: "X-Tenant: acme", key: KEY, address: "" });
    expect(fromAddress((name) => written[name as keyof typeof written] ?? "")).toEqual({ ...values, url: "https://a.example/x?q=1", headers: "X-Tenant: acme" });
    expect(inAddress(EMPTY)).toEqual({ method: "", url: "", headers: "", key: "", address: "" });
  });

  it("finds the key of the gateway in a field or in the URL", () => {
    const find = (headers: string, url = "/x") => secretOf({ headers, url }, "acme");
    expect([find(`Authorization: Bearer ${SECRET}`), find(`X-API-Key: ${SECRET}`), find("", `/v1beta/models?key=${SECRET}`)]).toEqual([SECRET, SECRET, SECRET]);
    expect([find("Authorization: Bearer sk-other"), find("no field"), secretOf({ headers: `X-API-Key: ${SECRET}`, url: "" }, "")]).toEqual([undefined, undefined, undefined]);
  });

  it("leads from a recorded LLM request to its explanation", () => {
    expect(explainLink({ route: "/v1beta/models/{model}:generateContent", model: "fast", key: { id: KEY } })).toBe(`/dashboard/explain?method=POST&url=%2Fv1beta%2Fmodels%2Ffast%3AgenerateContent&key=${KEY}`);
    expect(explainLink({ route: "users", model: null, key: null })).toBeUndefined();
  });
});

describe("ExplainPage", () => {
  beforeEach(() => visit("/dashboard/explain"));

  it("takes the key of a pasted curl command; the address has its id only", async () => {
    const seen = answering({ body: { valid: true, key: { id: KEY } } });
    show(<ExplainPage />);
    await screen.findByLabelText("URL");
    await waitFor(() => expect(seen.some(({ line }) => line === "GET /api/site")).toBe(true));
    await userEvent.click(screen.getByLabelText("URL"));
    await userEvent.paste(`curl http://127.0.0.1:8080/v1/chat/completions -H 'Authorization: Bearer ${SECRET}' -d '{}'`);
    await userEvent.click(screen.getByRole("button", { name: "Explain request" }));
    expect(await screen.findByText(/As the key laptop …cdef of Ada/)).toBeVisible();
    expect(seen.find(({ line }) => line === "POST /api/auth/validate")?.body).toEqual({ token: SECRET });
    expect(seen.find(({ line }) => line === "POST /api/explain")?.body).toMatchObject({ as: KEY });
    expect(address.visited.at(-1)).toBe(`/dashboard/explain?method=POST&url=${encodeURIComponent("http://127.0.0.1:8080/v1/chat/completions")}&key=${KEY}`);
    expect(address.visited.join(" ")).not.toContain(SECRET);
  });

  it("explains all the same if the key is not accepted, and says why", async () => {
    const seen = answering(refusal("key_revoked", 401, "this key was revoked"));
    show(<ExplainPage />);
    await userEvent.type(await screen.findByLabelText("URL"), "/x");
    await userEvent.type(screen.getByLabelText("Key"), SECRET);
    expect(screen.getByLabelText("Key")).toHaveAttribute("type", "password");
    await userEvent.click(screen.getByRole("button", { name: "Explain request" }));
    expect(await screen.findByText("this key was revoked")).toBeVisible();
    expect(seen.find(({ line }) => line === "POST /api/explain")?.body).toEqual({ method: "GET", url: "/x", headers: {} });
    expect(screen.queryByText("Your session ended")).toBeNull();
  });

  it("explains the request of its address at once", async () => {
    address.query = `method=POST&url=%2Fv1%2Fchat%2Fcompletions&key=${KEY}`;
    const seen = answering(refusal("unauthorized", 401));
    show(<ExplainPage />);
    expect(await screen.findByText(/As the key laptop/)).toBeVisible();
    expect(seen.find(({ line }) => line === "POST /api/explain")?.body).toEqual({ method: "POST", url: "/v1/chat/completions", headers: {}, as: KEY });
    expect(screen.getByLabelText("Method")).toHaveValue("POST");
  });
});
