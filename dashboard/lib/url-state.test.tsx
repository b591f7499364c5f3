import { act, renderHook } from "@testing-library/react";
import { beforeEach, describe, expect, it } from "vitest";

import { useUrlState } from "@/lib/url-state";
import { address, visit } from "@/tests/navigation";

describe("the state in the address", () => {
  beforeEach(() => visit("/dashboard/usage?range=14d"));

  it("keeps a change that is not drawn yet when a second one follows, also of another component", () => {
    const group = renderHook(() => useUrlState());
    const measure = renderHook(() => useUrlState());
    act(() => group.result.current.set({ by: "key" }));
    act(() => measure.result.current.set({ measure: "errors", range: "" }));
    expect(address.visited).toEqual(["/dashboard/usage?range=14d&by=key", "/dashboard/usage?by=key&measure=errors"]);
  });

  it("starts from the address that is drawn, also if it is that of before a change", () => {
    const { result, rerender } = renderHook(() => useUrlState());
    act(() => result.current.set({ by: "key" }));
    address.query = "range=14d&by=key";
    rerender();
    address.query = "range=14d";
    rerender();
    act(() => result.current.set({ measure: "errors" }));
    expect(address.visited.at(-1)).toBe("/dashboard/usage?range=14d&measure=errors");
  });

  it("removes an empty value, and the question mark with the last one", () => {
    const { result } = renderHook(() => useUrlState());
    act(() => result.current.set({ range: "" }));
    expect(address.visited).toEqual(["/dashboard/usage"]);
  });
});
