import { describe, expect, it } from "vitest";

import { boundsOf, localOf, periodOf } from "@/lib/period";

const from = (query: string) => {
  const values = new URLSearchParams(query);
  return periodOf((name) => values.get(name) ?? "");
};
// The tests run in Jakarta, seven hours ahead of UTC.
const NOW = new Date("2026-11-21T18:30:40Z");

describe("the period of a list", () => {
  it("is that of the address; bounds replace a preset, and what is no time is left out", () => {
    expect(from("")).toEqual({ preset: "", since: "", until: "" });
    expect(from("when=yesterday")).toEqual({ preset: "yesterday", since: "", until: "" });
    expect(from("when=tomorrow&since=soon")).toEqual({ preset: "", since: "", until: "" });
    expect(from("when=1h&since=2026-11-20T00:00:00Z")).toEqual({ preset: "", since: "2026-11-20T00:00:00.000Z", until: "" });
  });

  it("has days of the reader's zone, and hours that begin with a minute", () => {
    expect(boundsOf(from("when=today"), NOW)).toEqual({ since: "2026-11-21T17:00:00.000Z" });
    expect(boundsOf(from("when=yesterday"), NOW)).toEqual({ since: "2026-11-20T17:00:00.000Z", until: "2026-11-21T17:00:00.000Z" });
    expect(boundsOf(from("when=1h"), NOW)).toEqual({ since: "2026-11-21T17:30:00.000Z" });
    expect(boundsOf(from("until=2026-11-20T00:00:00Z"), NOW)).toEqual({ until: "2026-11-20T00:00:00.000Z" });
    expect(boundsOf(from(""), NOW)).toEqual({});
  });

  it("is written in the reader's zone", () => {
    expect(localOf("2026-11-20T17:00:00Z")).toBe("2026-11-21T00:00");
    expect(localOf("")).toBe("");
  });
});
