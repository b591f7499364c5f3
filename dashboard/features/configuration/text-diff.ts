/** The differences of two texts, line by line. */

export interface DiffLine {
  kind: "same" | "removed" | "added";
  text: string;
  /** The number of the line in the old and in the new text. */
  before?: number;
  after?: number;
}

/** A run of lines that are shown, or the number of equal lines that are not. */
export type DiffPart = { hidden: number } | { lines: DiffLine[] };

/** Larger products of changed lines are shown as one removed and one added block. */
const CELLS_MAX = 4_000_000;
/** Equal lines that are shown around a change. */
const CONTEXT = 3;

export function linesOf(text: string): string[] {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** All lines of both texts, in order. */
export function diff(old: string, fresh: string): DiffLine[] {
  const [before, after] = [linesOf(old), linesOf(fresh)];
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end += 1;
  const same = (text: string, from: number, to: number): DiffLine => ({ kind: "same", text, before: from + 1, after: to + 1 });
  return [
    ...before.slice(0, start).map((text, at) => same(text, at, at)),
    ...changed(before.slice(start, before.length - end), after.slice(start, after.length - end), start),
    ...before.slice(before.length - end).map((text, at) => same(text, before.length - end + at, after.length - end + at)),
  ];
}

/** The longest common subsequence of the lines between the equal beginning and the equal end. */
function changed(before: string[], after: string[], offset: number): DiffLine[] {
  const removed = (at: number): DiffLine => ({ kind: "removed", text: before[at] ?? "", before: offset + at + 1 });
  const added = (at: number): DiffLine => ({ kind: "added", text: after[at] ?? "", after: offset + at + 1 });
  if (before.length * after.length > CELLS_MAX) return [...before.map((_, at) => removed(at)), ...after.map((_, at) => added(at))];
  const width = after.length + 1;
  const common = new Uint32Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      common[i * width + j] = before[i] === after[j] ? (common[(i + 1) * width + j + 1] ?? 0) + 1 : Math.max(common[(i + 1) * width + j] ?? 0, common[i * width + j + 1] ?? 0);
    }
  }
  const lines: DiffLine[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      lines.push({ kind: "same", text: before[i] ?? "", before: offset + i + 1, after: offset + j + 1 });
      i += 1;
      j += 1;
    } else if (i < before.length && (j === after.length || (common[(i + 1) * width + j] ?? 0) >= (common[i * width + j + 1] ?? 0))) {
      lines.push(removed(i));
      i += 1;
    } else {
      lines.push(added(j));
      j += 1;
    }
  }
  return lines;
}

/** The changes with a few equal lines around them. */
export function partsOf(lines: readonly DiffLine[]): DiffPart[] {
  const isNear = lines.map(() => false);
  lines.forEach(({ kind }, at) => {
    if (kind === "same") return;
    for (let near = Math.max(0, at - CONTEXT); near <= Math.min(lines.length - 1, at + CONTEXT); near += 1) isNear[near] = true;
  });
  const parts: DiffPart[] = [];
  lines.forEach((line, at) => {
    const last = parts.at(-1);
    if (isNear[at]) {
      if (last && "lines" in last) last.lines.push(line);
      else parts.push({ lines: [line] });
    } else if (last && "hidden" in last) last.hidden += 1;
    else parts.push({ hidden: 1 });
  });
  return parts;
}
