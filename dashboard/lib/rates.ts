/** Rates of what the server counts: the differences of two readings, per second. */

/** What is counted of one thing since the server started. */
export interface Counted {
  requests: number;
  failed: number;
}

/** The requests and failures per second between two readings. */
export type Rate = Counted;

/** A reading of the server, and the rates since the reading before. */
export interface Reading<Data> {
  data: Data;
  /** When it was read, in milliseconds. */
  at: number;
  counted: Record<string, Counted>;
  /** A thing without an earlier reading has no rate. */
  rates: Record<string, Rate | undefined>;
}

/** Adds a reading to the one before. A server that has started again counts from 0, so it has no rates at first. */
export function nextReading<Data>(earlier: Reading<Data> | undefined, data: Data, counted: Record<string, Counted>, at: number): Reading<Data> {
  const seconds = earlier ? (at - earlier.at) / 1_000 : 0;
  const rates: Reading<Data>["rates"] = {};
  for (const [key, now] of Object.entries(counted)) {
    const before = earlier?.counted[key];
    if (!before || seconds <= 0 || now.requests < before.requests || now.failed < before.failed) continue;
    rates[key] = { requests: (now.requests - before.requests) / seconds, failed: (now.failed - before.failed) / seconds };
  }
  return { data, at, counted, rates };
}
