import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";

import { ExplainPage } from "@/features/explain/explain-page";
import { fieldsOf, pastedRequest, words } from "@/features/explain/pasted";
import { visit } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { type Answer, refusal, serve } from "@/tests/server";

beforeEach(() => visit("/dashboard/explain"));

const USER = { id: "u1", name: "Ada", email: "ada@example.com", plan: "starter", role: "admin", status: "active", created_at: "2026-11-01T00:00:00Z" };
const KEY = "0199aa00-0000-7000-8000-000000000001";

describe("a pasted request", () => {
  it("is read from curl commands", () => {
    const check = (text: string, method: string, url: string, headers: string) => expect(pastedRequest(text), text).toEqual({ method, url, headers });
    check("curl https://api.example.com/x", "GET", "https://api.example.com/x", "");
    check("$ curl -X DELETE 'https://a.example/x?a=1' -H 'X-Tenant: acme' \\\n  --header \"Accept: */*\"", "DELETE", "https://a.example/x?a=1", "X-Tenant: acme\nAccept: */*");
    check("curl -sS -XPUT --url=https://a.example/ -HX-A:1", "PUT", "https://a.example/", "X-A:1");
    check("curl https://a.example/v1/messages -d '{\"a\": \"it'\\''s\"}' -H content-type:application/json", "POST", "https://a.example/v1/messages", "content-type:application/json");
    check("curl -G a.example/find -d q=1 -d r=2", "GET", "http://a.example/find?q=1&r=2", "");
    check("curl -I -o /dev/null -m 5 https://a.example/", "HEAD", "https://a.example/", "");
    check("curl -u ada:secret -A test -b a=b https://a.example/", "GET", "https://a.example/", "Authorization: Basic YWRhOnNlY3JldA==\nUser-Agent: test\nCookie: a=b");
    check("curl 'https://a.example/' -H $'X-A: it\\'s' --compressed", "GET", "https://a.example/", "X-A: it's");
  });

  it("is read from the head of a request", () => {
    expect(pastedRequest("POST /users?a=b HTTP/1.1\r\nHost: api.example.com\r\nX-Tenant: acme\r\n\r\n{\"not\": \"a field\"}")).toEqual({ method: "POST", url: "https://api.example.com/users?a=b", headers: "X-Tenant: acme" });
    expect(pastedRequest("get https://a.example/x")).toEqual({ method: "GET", url: "https://a.example/x", headers: "" });
    expect(["https://a.example/x", "/users/7", "", "curl", "curly braces"].map(pastedRequest)).toEqual([undefined, undefined, undefined, undefined, { method: "CURLY", url: "braces", headers: "" }]);
  });

  it("is split as a shell does", () => {
    expect(words("a 'b c' \"d\\\"e\" f\\ g ''")).toEqual(["a", "b c", "d\"e", "f g", ""]);
  });

  it("has fields, of which repeated ones are joined", () => {
    expect(fieldsOf("X-A: 1\n\nx-a:2\nCookie: a=b\nCookie: c=d")).toEqual({ "X-A": "1, 2", Cookie: "a=b; c=d" });
    expect(fieldsOf("X-A: 1\nnot a field")).toBe(2);
  });
});

const EXPLANATION = {
  request: { method: "GET", host: "api.example.com", path: "/users/7", query: "a=b" },
  route: { name: "users", is_endpoint: false, place: "tollgate.yaml:12:5", because: ["the path matches /users/{id}"] },
  others: [{ name: "all", place: "tollgate.yaml:20:5", because: "another route comes first in the order of precedence" }],
  authentication: { type: "key", entry: null, place: null, require: [], plan: null, has_credential: true, decides: true, alternatives: [] },
  rate_limits: [{ name: "ip", policy: "\"ip\";q=100;w=60", tiers: [], after_authentication: false, place: "tollgate.yaml:8:5" }],
  action: { kind: "forward", target: "/v2/users/7?a=b", location: null, format: null, upstreams: [{ name: "users", weight: 1, strategy: "round_robin", place: "tollgate.yaml:2:5", backends: [{ url: "http://127.0.0.1:9001/v2/users/7", weight: 1 }] }] },
  refusal: null,
  status: null,
  as: { id: KEY, label: "laptop", last4: "9f3c", user_id: "u1", user_name: "Ada", plan: "starter" },
  limits: [
    { kind: "rate_limit", name: "ip", limit: 100, remaining: null, resets_at: null, reason: "the address of the client is not given", place: "tollgate.yaml:8:5" },
    { kind: "requests_per_minute", name: "requests_per_minute", limit: 60, remaining: 12, resets_at: null, reason: null, place: null },
  ],
  subject: null,
  backends: [],
  budgets: [{ dimension: "user", id: "u1", per: "day", credits: 1_000, used: 12, remaining: 988, resets_at: "2026-11-21T00:00:00Z", source: "plan", place: "tollgate.yaml:30:5", reason: null }],
  budgets_reason: null,
};

function answering(explained: Answer): ReturnType<typeof serve> {
  const key = { id: KEY, label: "laptop", prefix: "acme", last4: "9f3c", revoked_at: null, last_used_at: null };
  return serve({
    "GET /api/me": { body: { user: USER, acts_as: "admin", roles: [] } },
    "GET /api/site": { body: SITE },
    "GET /api/keys": { body: { items: [key], next: null } },
    "GET /api/models": { body: { items: [], next: null } },
    "POST /api/explain": explained,
  });
}

describe("ExplainPage", () => {
  it("explains a pasted curl command as steps, with limits and places", async () => {
    const seen = answering({ body: EXPLANATION });
    show(<ExplainPage />);
    const url = await screen.findByLabelText("URL");
    await userEvent.click(url);
    await userEvent.paste("curl -X GET 'https://api.example.com/users/7?a=b' -H 'X-Tenant: acme'");
    expect(url).toHaveValue("https://api.example.com/users/7?a=b");
    await userEvent.type(screen.getByLabelText("Key"), KEY);
    await userEvent.click(screen.getByRole("button", { name: "Explain request" }));
    expect(await screen.findByText("the path matches /users/{id}")).toBeVisible();
    expect(seen.find(({ line }) => line === "POST /api/explain")?.body).toEqual({ method: "GET", url: "https://api.example.com/users/7?a=b", headers: { "X-Tenant": "acme" }, as: KEY });
    const limits = screen.getByRole("table", { name: "Limits" });
    expect(within(limits).getByText("the address of the client is not given")).toBeVisible();
    expect(within(limits).getByRole("row", { name: /Requests per minute.*60.*12/ })).toBeVisible();
    expect(screen.getByText("tollgate.yaml:12:5")).toBeVisible();
    expect(screen.getByText("988 of 1,000 left")).toBeVisible();
    expect(screen.getByText("12 used")).toBeVisible();
    expect(screen.getByText(/until 21 Nov 2026, 07:00:00/)).toBeVisible();
    expect(screen.getByText("tollgate.yaml:30:5")).toBeVisible();
    expect(screen.getByText("rewritten from /users/7?a=b")).toBeVisible();
  });

  it("shows the alternative that decides, and why the use of a quota is unknown", async () => {
    const credential = { entry: null, place: null, require: [], plan: null, has_credential: false, decides: false, alternatives: [] };
    const plan = { name: "forty", named_by: null, limits: ["40 credits a day"], place: "tollgate.yaml:3:5" };
    const token = { ...credential, type: "jwt", entry: "accounts", place: "tollgate.yaml:9:5", plan, has_credential: true, decides: true };
    const authentication = { ...credential, type: "any", has_credential: true, decides: true, alternatives: [{ ...credential, type: "key" }, token] };
    const reason = "it depends on the subject of the access token";
    const budget = { dimension: "subject", id: null, per: "day", credits: 40, used: null, remaining: null, resets_at: "2026-11-21T00:00:00Z", source: "plan", place: null, reason };
    answering({ body: { ...EXPLANATION, authentication, as: null, budgets: [budget], budgets_reason: "the plan may be another" } });
    show(<ExplainPage />);
    await userEvent.type(await screen.findByLabelText("URL"), "/x{Enter}");
    const deciding = await screen.findByText(/^Decided by/);
    expect(deciding).toHaveTextContent("Decided by: An access token of the entry accounts");
    expect(screen.getByText(/Plan forty: 40 credits a day for each subject/)).toBeVisible();
    expect(screen.getByText(new RegExp(reason)).closest("li")).toHaveTextContent("Credits per day (Subject, from the plan)");
    expect(screen.getByText(/the plan may be another/)).toBeVisible();
    answering({ body: { ...EXPLANATION, authentication: { ...authentication, alternatives: [{ ...credential, type: "key" }, { ...token, decides: false }] } } });
    await userEvent.click(screen.getByRole("button", { name: "Explain request" }));
    expect(await screen.findByText("Decided by: none, as the request has no credential of an alternative")).toBeVisible();
  });

  it("shows why a backend gets no requests, and until when", async () => {
    const url = (nth: number) => `http://127.0.0.1:900${nth}`;
    const backends = [1, 2, 3, 4].map((nth) => ({ url: `${url(nth)}/v2/users/7?a=b`, weight: nth === 3 ? 0 : 1 }));
    const action = { ...EXPLANATION.action, upstreams: [{ ...EXPLANATION.action.upstreams[0], backends }] };
    const state = { upstream: "users", cause: null, ends_at: null };
    const states = [
      { ...state, url: url(1), state: "unhealthy", cause: "the status is 500" },
      { ...state, url: url(2), state: "ejected", cause: "reset", ends_at: "2026-11-20T12:00:30Z" },
      { ...state, url: url(4), state: "available" },
      { ...state, upstream: "other", url: url(4), state: "open" },
    ];
    answering({ body: { ...EXPLANATION, action, backends: states } });
    show(<ExplainPage />);
    await userEvent.type(await screen.findByLabelText("URL"), "/x{Enter}");
    const line = (nth: number) => screen.getByText(backends[nth - 1]?.url ?? "").closest("li");
    expect(await screen.findByText("Unhealthy")).toBeVisible();
    expect(line(1)).toHaveTextContent("weight 1 Unhealthy the status is 500");
    expect(line(2)).toHaveTextContent(/Ejected the connection was reset, until .*30/);
    expect(line(3)).toHaveTextContent(/weight 0 Drained$/);
    expect(line(4)).toHaveTextContent(/weight 1 Available$/);
  });

  it("refuses what is no request before it is sent, and keeps it", async () => {
    const seen = answering({ body: EXPLANATION });
    show(<ExplainPage />);
    await userEvent.type(await screen.findByLabelText("Header fields"), "no field");
    await userEvent.type(screen.getByLabelText("Key"), "laptop");
    await userEvent.click(screen.getByRole("button", { name: "Explain request" }));
    expect(screen.getByText("Enter a URL or a path such as /users/7")).toBeVisible();
    expect(screen.getByText("Line 1 is not a field: write NAME: VALUE")).toBeVisible();
    expect(screen.getByText(/Enter a key, its id/)).toBeVisible();
    expect(screen.getByLabelText("Header fields")).toHaveValue("no field");
    expect(seen.some(({ line }) => line.startsWith("POST"))).toBe(false);
  });

  it("shows the server's reason", async () => {
    answering(refusal("unprocessable", 422, "expected a request that the gateway accepts"));
    show(<ExplainPage />);
    await userEvent.type(await screen.findByLabelText("URL"), "/a/../b{Enter}");
    expect(await screen.findByText("expected a request that the gateway accepts")).toBeVisible();
  });

  it("says which route is missing", async () => {
    const refused = { status: 404, code: "route_not_found", message: "no route matches" };
    answering({ body: { ...EXPLANATION, route: null, others: [], authentication: null, rate_limits: [], action: null, refusal: refused, status: 404, as: null, subject: null, limits: [], budgets: [], budgets_reason: null } });
    show(<ExplainPage />);
    await userEvent.type(await screen.findByLabelText("URL"), "/x{Enter}");
    expect(await screen.findByText("No route")).toBeVisible();
    expect(screen.getByText("no route matches")).toBeVisible();
  });
});
