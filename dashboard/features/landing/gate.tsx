const LANES = [
  { top: 0, llm: "openai", api: "orders", fill: "var(--c-1)" },
  { top: 68, llm: "429 quota_exceeded", api: "429 rate_limited", fill: undefined },
  { top: 136, llm: "google", api: "search", fill: "var(--c-3)" },
] as const;
const WAITING = [[8, 34], [60, 18], [98, 46]] as const;
const PASSED = [[238, 40], [300, 18], [338, 30]] as const;

/** Three lanes with a barrier each: two let requests pass, one refuses them. */
export function Gate({ hasLlm }: { hasLlm: boolean }) {
  return (
    <svg className="gate" viewBox="0 0 500 216" fill="none" aria-hidden>
      {LANES.map(({ top, llm, api, fill }) => (
        <g key={top} transform={`translate(0 ${top})`}>
          <path d="M0 59h500" stroke="var(--line-2)" />
          {WAITING.map(([x, width]) => (
            <rect key={x} x={x} y="46" width={width} height="8" rx="1.5" fill="var(--text-3)" />
          ))}
          {fill && PASSED.map(([x, width]) => <rect key={x} x={x} y="46" width={width} height="8" rx="1.5" fill={fill} />)}
          <path d="M176 59v-23" stroke="var(--text)" strokeWidth="5" />
          <path d={fill ? "M176 40l34-30" : "M176 40h46"} stroke="var(--accent)" strokeWidth="6" strokeDasharray="10 3.5" />
          <text x="500" y="53" textAnchor="end" fontSize="13" fill="var(--text-2)" fontFamily="var(--mono)">
            {hasLlm ? llm : api}
          </text>
        </g>
      ))}
    </svg>
  );
}
