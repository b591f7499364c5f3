import { CircleAlert } from "lucide-react";
import { type ReactNode, useId } from "react";

export interface FieldFrameProps {
  label: string;
  hint?: string | undefined;
  /** Replaces the hint: what is wrong and how to fix it. */
  error?: string | undefined;
}

/** The attributes that connect a control with its label and its note. */
interface Described {
  id: string;
  "aria-invalid": boolean;
  "aria-describedby": string | undefined;
}

/** A control with its label above it, and its hint or error below it. */
export function FieldFrame({ label, hint, error, children }: FieldFrameProps & { children(described: Described): ReactNode }) {
  const id = useId();
  const note = error ?? hint;
  const isWrong = error !== undefined;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, "aria-invalid": isWrong, "aria-describedby": note === undefined ? undefined : `${id}-note` })}
      {note !== undefined && (
        <span id={`${id}-note`} className={isWrong ? "hint bad flex items-center gap-1.5" : "hint"}>
          {isWrong && <CircleAlert size={14} aria-hidden />}
          {note}
        </span>
      )}
    </div>
  );
}
