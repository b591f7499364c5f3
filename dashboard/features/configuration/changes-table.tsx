"use client";

import type { ConfigurationChanges } from "@/features/configuration/use-configuration";
import { useFormat, useMessages } from "@/lib/language";

/** A value of a setting as YAML would have it on one line. */
export function valueText(value: unknown, nothing: string): string {
  if (value === null || value === undefined) return nothing;
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The settings that a configuration changes. */
export function ChangesTable({ changes: { changes, more, notes } }: { changes: ConfigurationChanges }) {
  const t = useMessages();
  const format = useFormat();
  return (
    <>
      {notes.map((note) => (
        <p key={note} className="t2 md">{note}</p>
      ))}
      {changes.length > 0 && (
        <div className="tw scroll-box" tabIndex={0} role="region" aria-label={t.configuration.setting}>
          <table className="tbl dense wrap-cells">
            <thead>
              <tr>
                <th>{t.configuration.setting}</th>
                <th>{t.configuration.before}</th>
                <th>{t.configuration.after}</th>
              </tr>
            </thead>
            <tbody>
              {changes.map(({ key, before, after }) => (
                <tr key={key}>
                  <td className="mono">{key}</td>
                  <td className="mono t2">{valueText(before, t.configuration.nothing)}</td>
                  <td className="mono">{valueText(after, t.configuration.nothing)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {more > 0 && <p className="t2 md">{t.configuration.more(format.count(more))}</p>}
    </>
  );
}
