import { describe, expect, it } from "vitest";

import { countdown, formatter } from "@/lib/format";

const usd = (amount_nano: number) => ({ amount_nano, currency: "USD" });

describe("formatter", () => {
  const [en, id] = [formatter("en"), formatter("id")];

  it("writes money from integers", () => {
    expect(en.total(usd(18_420_000_000))).toBe("$18.42");
    expect(id.total(usd(1_234_500_000_000))).toBe("$1.234,50");
    expect(en.total(usd(9_999_999))).toBe("< $0.01");
    expect(en.total(usd(0))).toBe("$0.00");
    expect(en.exact(usd(48_202_000))).toBe("$0.048202");
    expect(en.exact(usd(999))).toBe("< $0.000001");
    expect(en.exact(usd(0))).toBe("$0.000000");
    expect(en.rate(15_000_000, "USD")).toBe("$15.00");
    expect(en.rate(25_000, "USD")).toBe("$0.025");
    expect(en.rate(0, "USD")).toBe("$0.00");
    expect(en.rate(1, "USD")).toBe("$0.000001");
    expect(en.pico(22_200_000_000, "USD")).toBe("$0.022200");
    expect(en.pico(400_000, "USD")).toBe("< $0.000001");
    expect(en.total({ amount: 150_000, currency: "IDR" })).toBe("IDR 150,000");
    expect(id.total({ amount: 150_000, currency: "IDR" })).toBe("Rp150.000");
  });

  it("writes credits with the decimals that they have", () => {
    expect([0, 12, 0.25, 0.000001, 1_234.5].map((credits) => en.credits(credits))).toEqual(["0", "12", "0.25", "0.000001", "1,234.5"]);
    expect([id.credits(0.25), en.credits(2_500_000)]).toEqual(["0,25", "2.5 M"]);
  });

  it("writes amounts of billing, of which a credit is negative", () => {
    expect([en, id].map((of) => of.bill({ amount: 166_500, currency: "IDR" }))).toEqual(["IDR 166,500", "Rp166.500"]);
    expect([en, id].map((of) => of.bill({ amount: -101_613, currency: "IDR" }))).toEqual(["-IDR 101,613", "-Rp101.613"]);
    expect(en.bill({ amount: 12_500_000_000, currency: "USD" })).toBe("$12.50");
    expect(["0.5", "250", "0.02"].map((price) => id.unitPrice(price, "IDR"))).toEqual(["Rp0,5", "Rp250", "Rp0,02"]);
    expect(["0.000025", "3"].map((price) => en.unitPrice(price, "USD"))).toEqual(["$0.000025", "$3.00"]);
  });

  it("shortens counts from a million", () => {
    expect([999_999, 1_000_000, 41_234_567, 2_100_000_000].map(en.count)).toEqual(["999,999", "1.0 M", "41.2 M", "2.1 B"]);
    expect([1_500_000, 2_100_000_000].map(id.count)).toEqual(["1,5 jt", "2,1 M"]);
    expect([en, id].map((of) => of.whole(1_250_500))).toEqual(["1,250,500", "1.250.500"]);
  });

  it("chooses the unit of a duration", () => {
    expect([0.4, 812.4, 2840, 184_000, null].map(en.duration)).toEqual(["0.4 ms", "812 ms", "2.84 s", "3 min 04 s", "–"]);
    expect([9.96, 999.7, 59_996, 119_700].map(en.duration)).toEqual(["10 ms", "1.00 s", "1 min 00 s", "2 min 00 s"]);
  });

  it("rounds what is left down", () => {
    const now = new Date("2026-11-21T14:20:30Z");
    expect(en.left("2026-11-22T00:00:00Z", now)).toBe("9 h 39 min");
    expect(en.left("2026-11-23T14:20:29Z", now)).toBe("47 h 59 min");
    expect(en.left("2026-11-30T00:00:00Z", now)).toBe("8 d");
    expect(en.left("2026-11-20T00:00:00Z", now)).toBe("0 min");
  });

  it("keeps quota days in UTC and shows times in the zone of the reader", () => {
    expect(en.utcDay("2026-11-21")).toBe("21 Nov");
    expect(en.time("2026-11-21T18:00:00Z")).toBe(new Date("2026-11-21T18:00:00Z").toLocaleTimeString("en-GB"));
  });

  it("counts down in minutes and seconds", () => {
    expect([702, 9.2, 0, -5].map(countdown)).toEqual(["11:42", "0:10", "0:00", "0:00"]);
  });
});
