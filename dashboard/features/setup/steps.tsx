"use client";

import { Check } from "lucide-react";
import { clsx } from "clsx";
import type { ReactNode } from "react";

import { STEPS, type StepName } from "@/features/setup/setup-state";
import { useMessages } from "@/lib/language";

interface StepsProps {
  current: StepName | undefined;
  /** What a finished step resulted in. */
  results: Partial<Record<StepName, string | undefined>>;
  /** The content of the open step. The last one keeps its content when it is finished. */
  children: ReactNode;
  /** A step that follows the last one, and is not needed for a first call. */
  optional?: { title: string; content: ReactNode } | undefined;
}

/** The steps in their order: finished ones with their result, and the open one in full. */
export function Steps({ current, results, children, optional }: StepsProps) {
  const t = useMessages();
  const at = current === undefined ? STEPS.length : STEPS.indexOf(current);
  return (
    <ol className="stps">
      {STEPS.map((name, index) => {
        const isDone = index < at;
        const isOpen = index === at || (current === undefined && index === STEPS.length - 1);
        return (
          <li key={name} className={isOpen ? "now" : undefined} aria-current={index === at ? "step" : undefined}>
            <span className={clsx("sn", isDone ? "done" : isOpen && "now")}>
              {isDone ? <Check className="i s" aria-label={t.setup.finished} /> : index + 1}
            </span>
            <div className="sb">
              <div className="row wrap gap-x-3 gap-y-0.5">
                <h2>{t.setup.steps[name]}</h2>
                <span className="t3 sm num">{isDone ? results[name] : isOpen ? t.setup.times[name] : undefined}</span>
              </div>
              {isOpen && children}
            </div>
          </li>
        );
      })}
      {optional && (
        <li className="now">
          <span className="sn">{STEPS.length + 1}</span>
          <div className="sb">
            <div className="row wrap gap-x-3 gap-y-0.5">
              <h2>{optional.title}</h2>
              <span className="t3 sm">{t.setup.optional}</span>
            </div>
            {optional.content}
          </div>
        </li>
      )}
    </ol>
  );
}

/** How many steps are finished. */
export function Progress({ current }: { current: StepName | undefined }) {
  const t = useMessages();
  const done = current === undefined ? STEPS.length : STEPS.indexOf(current);
  return (
    <div className="prg" role="progressbar" aria-label={t.setup.progress} aria-valuenow={done} aria-valuemin={0} aria-valuemax={STEPS.length}>
      {STEPS.map((name, index) => <i key={name} className={index < done ? "done" : undefined} />)}
    </div>
  );
}
