import { CircleAlert } from "lucide-react";
import { type SelectHTMLAttributes, useId } from "react";

interface SelectFieldProps extends SelectHTMLAttributes<HTMLSelectElement> {
  label: string;
  hint?: string | undefined;
  error?: string | undefined;
  /** Value and text of each option. */
  options: readonly (readonly [string, string])[];
}

/** A labelled choice of one option. A value that is no option is shown as it is. */
export function SelectField({ label, hint, error, options, ...rest }: SelectFieldProps) {
  const id = useId();
  const note = error ?? hint;
  const value = String(rest.value ?? "");
  const isKnown = options.some(([name]) => name === value);
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select id={id} className="in" aria-invalid={error !== undefined} aria-describedby={note === undefined ? undefined : `${id}-note`} {...rest}>
        {!isKnown && <option value={value}>{value}</option>}
        {options.map(([name, text]) => (
          <option key={name} value={name}>{text}</option>
        ))}
      </select>
      {note !== undefined && (
        <span id={`${id}-note`} className={error === undefined ? "hint" : "hint bad flex items-center gap-1.5"}>
          {error !== undefined && <CircleAlert size={14} aria-hidden />}
          {note}
        </span>
      )}
    </div>
  );
}
