import { type ApiKey, shortened } from "@/features/keys/key-state";

interface ShortKeyProps {
  apiKey: Pick<ApiKey, "prefix" | "last4">;
  className?: string;
}

/** A shortened key. In a narrow place its prefix is cut, and never the last four characters, which tell keys apart. */
export function ShortKey({ apiKey, className = "" }: ShortKeyProps) {
  const text = shortened(apiKey);
  const end = text.length - apiKey.last4.length;
  return (
    <span className={`mono ${className}`} title={text}>
      <span className="flex">
        <span className="trunc">{text.slice(0, end)}</span>
        <span className="shrink-0">{text.slice(end)}</span>
      </span>
    </span>
  );
}
