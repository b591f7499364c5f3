"use client";

import { useFormat, useMessages } from "@/lib/language";

const PICO = 1_000_000;
/** An invented call: class, tokens, and the rate of one token in trillionths of a dollar. */
const LINES = [
  ["input", 1_204, 3 * PICO],
  ["cached_input", 18_432, 0.3 * PICO],
  ["cache_write_short", 2_048, 3.75 * PICO],
  ["output", 612, 15 * PICO],
  ["reasoning", 1_480, 15 * PICO],
] as const;

/** How one request is charged: tokens by class, each at its own price. */
export function Receipt() {
  const t = useMessages();
  const format = useFormat();
  const tokens = LINES.reduce((sum, [, quantity]) => sum + quantity, 0);
  const amount = LINES.reduce((sum, [, quantity, rate]) => sum + quantity * rate, 0);
  return (
    <div className="panel px-[18px] py-4">
      <div className="row mb-3">
        <h2 className="text-sm">{t.landing.receipt}</h2>
        <span className="tag push">{t.landing.receiptExample}</span>
      </div>
      <table className="lines">
        <thead>
          <tr>
            <th>{t.usage.class}</th>
            <th>{t.requests.tokens}</th>
            <th>{t.usage.perMillion}</th>
            <th>{t.usage.cost}</th>
          </tr>
        </thead>
        <tbody>
          {LINES.map(([name, quantity, rate]) => (
            <tr key={name}>
              <td>{t.usage.classes[name]}</td>
              <td>{format.count(quantity)}</td>
              <td className="t2">{format.rate(rate, "USD")}</td>
              <td>{format.pico(quantity * rate, "USD")}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <td>{t.usage.charged}</td>
            <td>{format.count(tokens)}</td>
            <td />
            <td>{format.pico(amount, "USD")}</td>
          </tr>
        </tfoot>
      </table>
    </div>
  );
}
