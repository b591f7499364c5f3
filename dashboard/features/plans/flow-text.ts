/** Mappings and lists of YAML in braces and brackets, as text: what is not changed stays as its author wrote it. */

const CLOSING: Record<string, string> = { "{": "}", "[": "]" };

/** The index behind a quoted text that begins at `start`. */
function quoteEnd(text: string, start: number): number {
  const quote = text.charAt(start);
  for (let at = start + 1; at < text.length; at += 1) {
    if (quote === '"' && text[at] === "\\") at += 1;
    else if (text[at] === quote && !(quote === "'" && text[at + 1] === "'")) return at + 1;
    else if (text[at] === quote) at += 1;
  }
  return text.length;
}

/** Calls `visit` with each character that is neither quoted nor of a comment, and the number of open braces and brackets before it; ends with the first `true`. */
function scan(text: string, start: number, visit: (at: number, depth: number) => boolean): number {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const character = text.charAt(at);
    const isStart = at === start || /[\s,:[{]/.test(text.charAt(at - 1));
    if ((character === '"' || character === "'") && isStart) {
      at = quoteEnd(text, at) - 1;
      continue;
    }
    if (character === "#" && at > 0 && /\s/.test(text.charAt(at - 1))) {
      const end = text.indexOf("\n", at);
      at = end === -1 ? text.length : end;
      continue;
    }
    if (visit(at, depth)) return at;
    if (character in CLOSING) depth += 1;
    if (character === "}" || character === "]") depth -= 1;
  }
  return -1;
}

/** The index behind the mapping or list that begins at `start`; undefined if it does not end. */
export function flowEnd(text: string, start: number): number | undefined {
  const end = scan(text, start, (at, depth) => depth === 1 && text.charAt(at) === CLOSING[text.charAt(start)]);
  return end === -1 ? undefined : end + 1;
}

/** The entries of a mapping or list, without its braces. */
export function flowEntries(flow: string): string[] {
  const inner = flow.slice(1, -1);
  const found: string[] = [];
  let begin = 0;
  scan(inner, 0, (at, depth) => {
    if (depth === 0 && inner.charAt(at) === ",") {
      found.push(inner.slice(begin, at));
      begin = at + 1;
    }
    return false;
  });
  return [...found, inner.slice(begin)].map((entry) => entry.trim()).filter((entry) => entry !== "");
}

/** The key and the value of an entry of a mapping. */
export function keyAndValue(entry: string): [string, string] {
  const colon = scan(entry, 0, (at, depth) => depth === 0 && entry.charAt(at) === ":" && /^(\s|$)/.test(entry.slice(at + 1)));
  return colon === -1 ? [unquoted(entry), ""] : [unquoted(entry.slice(0, colon)), entry.slice(colon + 1).trim()];
}

/** A scalar without its quotes and a comment behind it. */
export function unquoted(text: string): string {
  const trimmed = text.trim();
  if (trimmed.startsWith('"') || trimmed.startsWith("'")) return trimmed.slice(1, quoteEnd(trimmed, 0) - 1);
  return trimmed.replace(/\s+#.*$/, "");
}
