import { Search } from "lucide-react";

/** The text that filters a list. */
export function SearchField({ label, value, onChange }: { label: string; value: string; onChange(text: string): void }) {
  return (
    <div className="in-w w-full sm:w-[280px]">
      <Search className="i" aria-hidden />
      <input className="in h-8" placeholder={label} aria-label={label} value={value} onChange={(event) => onChange(event.target.value)} />
    </div>
  );
}
