import type { ApiError } from "@/lib/api";

/** A problem of a configuration, as the server reports it. */
export interface ConfigurationProblem {
  code: string;
  message: string;
  file: string | null;
  line: number | null;
  column: number | null;
  /** The problem with its excerpt, as the command prints it. */
  text: string;
}

const NEEDS_RESTART = "needs_restart";

/** The problems of a refused configuration; empty for other errors. */
export function problemsOf(error: ApiError | null): ConfigurationProblem[] {
  return (error?.problems ?? []).filter((problem): problem is ConfigurationProblem => typeof problem === "object" && problem !== null && "message" in problem && "code" in problem);
}

/** The keys that cannot change without a restart. */
export function restartKeys(problems: readonly ConfigurationProblem[]): string[] {
  const keys = problems.filter(({ code }) => code === NEEDS_RESTART).map(({ message }) => /`([^`]+)`/.exec(message)?.[1] ?? message);
  return [...new Set(keys)];
}

/** A part of the file that begins at a line. */
export interface Section {
  name: string;
  line: number;
}

/** The sections of a YAML text: the keys of its outermost mapping. */
export function sectionsOf(yaml: string): Section[] {
  return yaml.split("\n").flatMap((text, at): Section[] => {
    const name = /^["']?([A-Za-z_][\w-]*)["']?\s*:(\s|$)/.exec(text)?.[1];
    return name === undefined ? [] : [{ name, line: at + 1 }];
  });
}
