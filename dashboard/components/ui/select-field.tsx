import { CircleAlert } from "lucide-react";
import { type SelectHTMLAttributes, useId } from "react";

interface SelectFieldProps extends SelectHTMLAttributes<HTMLSelectElement> {
  label: string;
  options: readonly (readonly [value: string, text: string])[];
  /** What is wrong and how to fix it. */
  error?: string | undefined;
}

/** A choice of one of a list in a form. */
export function SelectField({ label, options, error, ...rest }: SelectFieldProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select id={id} className="in" aria-invalid={error !== undefined} aria-describedby={error === undefined ? undefined : `${id}-note`} {...rest}>
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
      {error !== undefined && (
        <span id={`${id}-note`} className="hint bad flex items-center gap-1.5">
          <CircleAlert size={14} aria-hidden />
          {error}
        </span>
      )}
    </div>
  );
}
