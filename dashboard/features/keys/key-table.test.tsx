import { screen } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";

import type { ApiKey } from "@/features/keys/key-state";
import { KeyTable } from "@/features/keys/key-table";
import { show } from "@/tests/render";

const HOUR_MS = 3_600_000;

function rotated(hours: number): ApiKey {
  return {
    id: "k1", user_id: "u1", admin: false, labels: {}, label: "laptop", prefix: "acme", last4: "cdef", created_at: "2026-11-01T00:00:00Z", expires_at: null, revoked_at: null,
    last_used_at: null, previous: { last4: "9f3c", until: new Date(Date.now() + hours * HOUR_MS).toISOString() }, scopes: { models: null, routes: null },
    limits: { credits_per_day: null, requests_per_minute: null }, addresses: null,
  };
}

describe("a rotated key in the table", () => {
  it.each([[7 * 24, "Old secret for 6 d"], [24, "Old secret for 23 h 59 min"]])("shows how long the old secret still works, after %i hours of grace", (hours, text) => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const key = rotated(hours);
    vi.setSystemTime(Date.now() + 30_000);
    show(<KeyTable keys={[key]} use={new Map()} onTask={vi.fn()} onOpen={vi.fn()} openId="" />);
    expect(screen.getByText(text)).toBeVisible();
  });
});
