/** The barrier of the first call; the panel around it opens it. */
export function Barrier() {
  return (
    <svg viewBox="0 0 240 96" fill="none" aria-hidden>
      <path d="M0 84h240" stroke="var(--line-2)" strokeWidth="2" />
      <path d="M44 84V38" stroke="var(--text)" strokeWidth="7" />
      <g className="arm">
        <path d="M44 44h168" stroke="var(--accent)" strokeWidth="9" strokeDasharray="22 8" />
      </g>
      <circle cx="44" cy="44" r="6" fill="var(--surface)" stroke="var(--text)" strokeWidth="3" />
      <rect className="pk" x="4" y="66" width="26" height="8" rx="2" fill="var(--c-1)" />
    </svg>
  );
}
