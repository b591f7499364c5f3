import type { SelectHTMLAttributes } from "react";

import { FieldFrame, type FieldFrameProps } from "@/components/ui/field-frame";

interface SelectFieldProps extends SelectHTMLAttributes<HTMLSelectElement>, FieldFrameProps {
  label: string;
  /** Value and text of each option. */
  options: readonly (readonly [string, string])[];
}

/** A labelled choice of one option. A value that is no option is shown as it is. */
export function SelectField({ label, hint, error, options, ...rest }: SelectFieldProps) {
  const value = String(rest.value ?? "");
  const isKnown = options.some(([name]) => name === value);
  return (
    <FieldFrame label={label} hint={hint} error={error}>
      {(described) => (
        <select className="in" {...described} {...rest}>
          {!isKnown && <option value={value}>{value}</option>}
          {options.map(([name, text]) => (
            <option key={name} value={name}>{text}</option>
          ))}
        </select>
      )}
    </FieldFrame>
  );
}
