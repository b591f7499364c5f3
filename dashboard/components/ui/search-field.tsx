"use client";

import { Search } from "lucide-react";
import { useState } from "react";

/** The text that filters a list. The address, from which `value` is, follows the typing later: the field has a text of its own. */
export function SearchField({ label, value, onChange }: { label: string; value: string; onChange(text: string): void }) {
  const [text, setText] = useState(value);
  const [known, setKnown] = useState(value);
  /** The reported texts that have not come back as `value`. */
  const [reported, setReported] = useState<string[]>([]);
  if (value !== known) {
    const at = reported.indexOf(value);
    setKnown(value);
    setReported(at < 0 ? [] : reported.slice(at + 1));
    // Somebody else has changed the address, such as the way back.
    if (at < 0) setText(value);
  }
  const change = (next: string) => {
    setText(next);
    setReported((before) => [...before, next]);
    onChange(next);
  };
  return (
    <div className="in-w w-full sm:w-[280px]">
      <Search className="i" aria-hidden />
      <input className="in h-8" placeholder={label} aria-label={label} value={text} onChange={(event) => change(event.target.value)} />
    </div>
  );
}
