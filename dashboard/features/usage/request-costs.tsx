"use client";

import { LinesTable } from "@/components/ui/lines-table";
import type { Schemas } from "@/lib/api";
import { useFormat, useMessages } from "@/lib/language";

/** The series of a token class, the same in every chart. */
const SWATCHES: Record<string, string> = { input: "b1", cached_input: "b3", cache_write_short: "b2", cache_write_long: "b2", output: "b5", reasoning: "b4" };

/** Tokens by class and the cost by line, per attempt that has a price. */
export function RequestCosts({ request }: { request: Schemas["RequestDetail"] }) {
  const t = useMessages();
  const priced = request.attempts.filter((attempt) => attempt.price);
  if (priced.length === 0 && !request.unpriced) return null;
  return (
    <section>
      <h3>{t.usage.tokensAndCost}</h3>
      {priced.map((attempt, at) => attempt.price && <Lines key={at} price={attempt.price} attempt={attempt} />)}
      {request.unpriced && <p className="hint">{t.usage.notPriced}</p>}
    </section>
  );
}

function Lines({ price, attempt }: { price: Schemas["PriceLines"]; attempt: Schemas["RequestAttempt"] }) {
  const t = useMessages();
  const format = useFormat();
  const sum = price.lines.reduce((all, line) => all + line.amount_pico, 0) + price.rounding_pico;
  return (
    <>
      <div className="stackbar" aria-hidden>
        {price.lines.map((line) => (
          <i key={line.class} className={SWATCHES[line.class] ?? "bo"} style={{ flex: line.quantity }} />
        ))}
      </div>
      <LinesTable
        heads={[t.usage.class, t.requests.tokens, t.usage.perMillion, t.usage.cost]}
        rows={price.lines.map((line) => ({
          name: line.class,
          cells: [
            <span key="class">
              <i className={`sw mr-2 ${SWATCHES[line.class] ?? "bo"}`} />
              {t.usage.classes[line.class] ?? line.class}
            </span>,
            format.count(line.quantity),
            <span key="rate" className="t2">{format.rate(line.rate_pico, price.currency)}</span>,
            format.pico(line.amount_pico, price.currency),
          ],
        }))}
        total={[t.usage.cost, attempt.tokens ? format.count(attempt.tokens.total) : "", "", format.pico(sum, price.currency)]}
      />
      <p className="hint">{t.usage.prices(price.version, price.source)}</p>
    </>
  );
}
