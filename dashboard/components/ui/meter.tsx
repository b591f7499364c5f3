import { clsx } from "clsx";

interface MeterProps {
  label: string;
  /** The used share, from 0; above 1 the meter is full. */
  share: number;
  /** The part of the period that has passed, from 0 to 1. */
  passed?: number | undefined;
  size?: "normal" | "mini";
}

/** The share from which a limit needs attention. */
export const NEARLY = 0.8;

/** A limit: the fill is its use, the notch the part of the period that has passed. */
export function Meter({ label, share, passed, size = "normal" }: MeterProps) {
  const percent = Math.min(100, Math.max(0, share * 100));
  const tone = share >= 1 ? "bad" : share >= NEARLY ? "warn" : undefined;
  return (
    <div
      className={clsx("meter", tone, size === "mini" && "mini")}
      role="meter"
      aria-label={label}
      aria-valuenow={Math.round(percent * 10) / 10}
      aria-valuemin={0}
      aria-valuemax={100}
    >
      <b style={{ width: `${percent}%` }} />
      {passed !== undefined && <i style={{ left: `${Math.min(100, passed * 100)}%` }} />}
    </div>
  );
}
