"use client";

import { useRef } from "react";

import { Button } from "@/components/ui/button";
import { Facts } from "@/components/ui/facts";
import { Note } from "@/components/ui/note";
import { sectionsOf } from "@/features/configuration/problems";
import { linesOf } from "@/features/configuration/text-diff";
import type { Configuration } from "@/features/configuration/use-configuration";
import { useFormat, useMessages } from "@/lib/language";

/** The height of a line of code, as in the style of `code-lines`. */
export const LINE_PX = 20;
/** Lines that stay visible above the line to which the view moves. */
const LINES_ABOVE = 2;

/** What the server says about the source: the file, or a stored configuration over it. */
export function sourceText({ source, name }: Configuration, t: ReturnType<typeof useMessages>): string {
  if (source === "api") return t.configuration.storedText;
  return name === "" ? t.configuration.noFileText : t.configuration.fileText;
}

/** The configuration in force, read-only. */
export function RunningView({ running, onEdit }: { running: Configuration; onEdit(): void }) {
  const t = useMessages();
  const format = useFormat();
  const box = useRef<HTMLDivElement>(null);
  const sections = sectionsOf(running.yaml);
  const isMasked = running.yaml.includes("***");
  const goTo = (line: number) => {
    box.current?.scrollTo({ top: Math.max(0, line - 1 - LINES_ABOVE) * LINE_PX });
    box.current?.focus({ preventScroll: true });
  };
  return (
    <div className="pb stack">
      <Facts
        facts={[
          [t.configuration.source, <bdi key="source">{running.source === "api" ? t.configuration.stored(running.name) : t.configuration.file(running.name)}</bdi>],
          [t.configuration.digest, <code key="digest" className="mono break-all">{running.digest.slice(0, 16)}</code>],
          [t.configuration.applied, format.moment(running.applied_at)],
        ]}
      />
      <p className="t2 md">{sourceText(running, t)}</p>
      {isMasked && <Note tone="warn" title={t.configuration.masked} />}
      {sections.length > 0 && (
        <nav aria-label={t.configuration.sections} className="row wrap">
          {sections.map(({ name, line }) => (
            <button key={`${name}-${line}`} type="button" className="chip mono" onClick={() => goTo(line)}>{name}</button>
          ))}
        </nav>
      )}
      {running.yaml === "" ? <p className="t2 md">{t.configuration.empty}</p> : <CodeLines box={box} text={running.yaml} label={t.configuration.yaml} />}
      <div className="row wrap">
        <span className="t3 sm num">{t.configuration.lines(format.count(linesOf(running.yaml).length))}</span>
        <Button look="primary" className="push" onClick={onEdit}>{t.configuration.edit}</Button>
      </div>
    </div>
  );
}

/** A text with the numbers of its lines. */
function CodeLines({ box, text, label }: { box: React.RefObject<HTMLDivElement | null>; text: string; label: string }) {
  const lines = linesOf(text);
  return (
    <div ref={box} className="code code-lines scroll-box" tabIndex={0} role="region" aria-label={label}>
      <pre className="gutter" aria-hidden>{lines.map((_, at) => at + 1).join("\n")}</pre>
      <pre>{lines.join("\n")}</pre>
    </div>
  );
}
