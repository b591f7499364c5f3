"use client";

import { type Ref, useId, useImperativeHandle, useRef } from "react";

import { LINE_PX } from "@/features/configuration/running-view";

export interface EditorHandle {
  /** Moves the cursor to a line and a column, both from 1. */
  goTo(line: number, column: number): void;
}

interface TextEditorProps {
  label: string;
  hint: string;
  text: string;
  /** Lines that have a problem. */
  marked: readonly number[];
  onChange(text: string): void;
  handle: Ref<EditorHandle>;
}

/** Lines above the one to which the cursor is moved. */
const LINES_ABOVE = 4;
/** The space above the first line. */
const TOP_PX = 8;

/** The offset of a line and a column in a text. */
export function offsetOf(text: string, line: number, column: number): number {
  const lines = text.split("\n");
  const before = lines.slice(0, Math.max(0, line - 1)).reduce((sum, { length }) => sum + length + 1, 0);
  return Math.min(text.length, before + Math.min(Math.max(0, column - 1), lines[line - 1]?.length ?? 0));
}

/** A plain text field with the numbers of its lines. Tab moves the focus, as everywhere on the page. */
export function TextEditor({ label, hint, text, marked, onChange, handle }: TextEditorProps) {
  const id = useId();
  const area = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLDivElement>(null);
  useImperativeHandle(handle, () => ({
    goTo: (line, column) => {
      const at = offsetOf(text, line, column);
      area.current?.focus();
      area.current?.setSelectionRange(at, at);
      if (area.current) area.current.scrollTop = Math.max(0, line - 1 - LINES_ABOVE) * LINE_PX;
    },
  }), [text]);
  const lines = text.split("\n").length;
  const scroll = () => {
    if (gutter.current && area.current) gutter.current.scrollTop = area.current.scrollTop;
  };
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="editor">
        <div ref={gutter} className="gutter" aria-hidden>
          {[...new Set(marked)].map((line) => <i key={line} style={{ top: TOP_PX + (line - 1) * LINE_PX }} />)}
          <pre>{Array.from({ length: lines }, (_, at) => at + 1).join("\n")}</pre>
        </div>
        <textarea
          ref={area}
          id={id}
          value={text}
          onChange={(event) => onChange(event.target.value)}
          onScroll={scroll}
          wrap="off"
          spellCheck={false}
          autoComplete="off"
          autoCapitalize="off"
          aria-describedby={`${id}-hint`}
          aria-invalid={marked.length > 0}
        />
      </div>
      <span id={`${id}-hint`} className="hint">{hint}</span>
    </div>
  );
}
