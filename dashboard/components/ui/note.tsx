import { CircleAlert, CircleCheck, Info, TriangleAlert } from "lucide-react";
import { clsx } from "clsx";
import type { ReactNode } from "react";

const ICONS = { info: Info, ok: CircleCheck, warn: TriangleAlert, bad: CircleAlert };

/** A message beside a form or over a panel: what happened, and what to do. */
export function Note({ tone = "info", title, children }: { tone?: keyof typeof ICONS; title: string; children?: ReactNode }) {
  const Icon = ICONS[tone];
  return (
    <div className={clsx("note-b", tone !== "info" && tone)} role={tone === "bad" || tone === "warn" ? "alert" : "status"}>
      <Icon className="i" aria-hidden />
      <div>
        <b className="med">{title}</b>
        {children && <div className="t2">{children}</div>}
      </div>
    </div>
  );
}
