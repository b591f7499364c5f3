import { act, renderHook } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { useUrlState } from "@/lib/url-state";

const place = vi.hoisted(() => ({ query: "", visited: [] as string[] }));

vi.mock("next/navigation", () => ({
  useRouter: () => ({ replace: (to: string) => place.visited.push(to) }),
  usePathname: () => "/dashboard/usage",
  useSearchParams: () => new URLSearchParams(place.query),
}));

describe("the state in the address", () => {
  beforeEach(() => {
    place.query = "range=14d";
    place.visited = [];
  });

  it("keeps a change that is not drawn yet when a second one follows, also of another component", () => {
    const group = renderHook(() => useUrlState());
    const measure = renderHook(() => useUrlState());
    act(() => group.result.current.set({ by: "key" }));
    act(() => measure.result.current.set({ measure: "errors", range: "" }));
    expect(place.visited).toEqual(["/dashboard/usage?range=14d&by=key", "/dashboard/usage?by=key&measure=errors"]);
  });

  it("starts from the address that is drawn, also if it is that of before a change", () => {
    const { result, rerender } = renderHook(() => useUrlState());
    act(() => result.current.set({ by: "key" }));
    place.query = "range=14d&by=key";
    rerender();
    place.query = "range=14d";
    rerender();
    act(() => result.current.set({ measure: "errors" }));
    expect(place.visited.at(-1)).toBe("/dashboard/usage?range=14d&measure=errors");
  });

  it("removes an empty value, and the question mark with the last one", () => {
    const { result } = renderHook(() => useUrlState());
    act(() => result.current.set({ range: "" }));
    expect(place.visited).toEqual(["/dashboard/usage"]);
  });
});
