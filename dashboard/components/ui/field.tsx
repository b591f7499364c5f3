import type { InputHTMLAttributes } from "react";
import { clsx } from "clsx";

import { FieldFrame, type FieldFrameProps } from "@/components/ui/field-frame";

interface FieldProps extends InputHTMLAttributes<HTMLInputElement>, FieldFrameProps {
  label: string;
  suffix?: string;
}

export function Field({ label, hint, error, suffix, className, ...rest }: FieldProps) {
  return (
    <FieldFrame label={label} hint={hint} error={error}>
      {(described) => (
        <div className="in-w">
          <input className={clsx("in", className)} {...described} {...rest} />
          {suffix && <span className="suffix">{suffix}</span>}
        </div>
      )}
    </FieldFrame>
  );
}
