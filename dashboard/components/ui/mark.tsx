/** The barrier: the mark of the product without a name. */
export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 24 24" fill="none" aria-hidden>
      <rect x="1" y="1" width="22" height="22" rx="6" fill="currentColor" stroke="none" />
      <path d="M7.5 19v-7.5M5 19h5" strokeWidth="2.2" strokeLinecap="round" />
      <path d="M7 12.4 20 6.2" strokeWidth="2.8" strokeDasharray="4 1.4" strokeLinecap="round" />
    </svg>
  );
}
