import { CircleAlert } from "lucide-react";
import { type InputHTMLAttributes, useId } from "react";
import { clsx } from "clsx";

interface FieldProps extends InputHTMLAttributes<HTMLInputElement> {
  label: string;
  hint?: string | undefined;
  /** Replaces the hint: what is wrong and how to fix it. */
  error?: string | undefined;
  suffix?: string;
}

export function Field({ label, hint, error, suffix, className, ...rest }: FieldProps) {
  const id = useId();
  const note = error ?? hint;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="in-w">
        <input
          id={id}
          className={clsx("in", className)}
          aria-invalid={error !== undefined}
          aria-describedby={note === undefined ? undefined : `${id}-note`}
          {...rest}
        />
        {suffix && <span className="suffix">{suffix}</span>}
      </div>
      {note !== undefined && (
        <span id={`${id}-note`} className={error === undefined ? "hint" : "hint bad flex items-center gap-1.5"}>
          {error !== undefined && <CircleAlert size={14} aria-hidden />}
          {note}
        </span>
      )}
    </div>
  );
}
