"use client";

import { CircleAlert } from "lucide-react";

import { Note } from "@/components/ui/note";
import { type ConfigurationProblem, restartKeys } from "@/features/configuration/problems";
import { useFormat, useMessages } from "@/lib/language";

interface ProblemListProps {
  problems: readonly ConfigurationProblem[];
  onGoTo(line: number, column: number): void;
}

/** The problems of a configuration. A click moves to the line. */
export function ProblemList({ problems, onGoTo }: ProblemListProps) {
  const t = useMessages();
  const format = useFormat();
  const keys = restartKeys(problems);
  return (
    <>
      <Note tone="bad" title={t.configuration.invalid(format.count(problems.length))}>{t.configuration.invalidText}</Note>
      {keys.length > 0 && <Note tone="warn" title={t.configuration.restart(keys.join(", "))}>{t.configuration.restartText}</Note>}
      <ul className="stack">
        {problems.map((problem, at) => (
          <li key={at} className="problem">
            <div className="row wrap">
              <CircleAlert className="i s bad" aria-hidden />
              <span className="med min-w-0">{problem.message}</span>
              <code className="tag mono">{problem.code}</code>
              {problem.line !== null && (
                <button type="button" className="link push" onClick={() => onGoTo(problem.line ?? 1, problem.column ?? 1)}>
                  {t.configuration.goTo(String(problem.line), String(problem.column ?? 1))}
                </button>
              )}
            </div>
            <pre tabIndex={0}>{problem.text}</pre>
          </li>
        ))}
      </ul>
    </>
  );
}
