/** Reads a request that was copied from elsewhere: a curl command, or the head of a request. */

export interface WrittenRequest {
  method: string;
  url: string;
  /** One field per line: `NAME: VALUE`. */
  headers: string;
}

/** The request in a text; `undefined` if the text is neither a curl command nor the head of a request. */
export function pastedRequest(text: string): WrittenRequest | undefined {
  const trimmed = text.trim();
  return /^\$?\s*curl(\.exe)?\s/.test(trimmed) ? ofCurl(words(trimmed.replace(/^\$\s*/, ""))) : ofHead(trimmed);
}

/** `GET /users HTTP/1.1` with fields below, or `GET https://…` alone. */
function ofHead(text: string): WrittenRequest | undefined {
  const [first = "", ...rest] = text.split(/\r?\n/);
  const line = /^([A-Za-z]+)\s+(\S+)(?:\s+HTTP\/\d(?:\.\d)?)?\s*$/.exec(first);
  if (!line) return undefined;
  const end = rest.findIndex((field) => field.trim() === "");
  const fields = (end === -1 ? rest : rest.slice(0, end)).filter((field) => /^[^\s:]+\s*:/.test(field));
  return withHost({ method: (line[1] ?? "GET").toUpperCase(), url: line[2] ?? "", headers: fields.map((field) => field.trim()).join("\n") });
}

/** Moves `Host` into the URL, so that it is visible where people look for it. */
function withHost(request: WrittenRequest): WrittenRequest {
  const fields = request.headers.split("\n").filter((field) => field !== "");
  const host = fields.map((field) => /^host\s*:\s*(\S+)$/i.exec(field)?.[1]).find((value) => value !== undefined);
  if (host === undefined || !request.url.startsWith("/")) return request;
  const others = fields.filter((field) => !/^host\s*:/i.test(field));
  return { ...request, url: `https://${host}${request.url}`, headers: others.join("\n") };
}

/** The words of a POSIX shell, with quotes, escapes and continued lines. */
export function words(text: string): string[] {
  const found: string[] = [];
  let word: string | undefined;
  let quote: "'" | "\"" | "$'" | undefined;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] ?? "";
    const next = text[at + 1] ?? "";
    if (quote === "'" || quote === "$'") {
      if (char === "'") quote = undefined;
      else if (char === "\\" && quote === "$'" && (next === "'" || next === "\\")) {
        word = (word ?? "") + next;
        at += 1;
      } else word = (word ?? "") + char;
    } else if (quote === "\"") {
      if (char === "\"") quote = undefined;
      else if (char === "\\" && /["\\$`\n]/.test(next)) {
        if (next !== "\n") word = (word ?? "") + next;
        at += 1;
      } else word = (word ?? "") + char;
    } else if (char === "'" || char === "\"") {
      quote = char;
      word ??= "";
    } else if (char === "$" && next === "'") {
      quote = "$'";
      word ??= "";
      at += 1;
    } else if (char === "\\") {
      const isContinued = next === "\n" || (next === "\r" && text[at + 2] === "\n");
      if (!isContinued) word = (word ?? "") + next;
      at += next === "\r" ? 2 : 1;
    } else if (/\s/.test(char)) {
      if (word !== undefined) found.push(word);
      word = undefined;
    } else word = (word ?? "") + char;
  }
  if (word !== undefined) found.push(word);
  return found;
}

/** Options of curl that have a value and do not change the head. */
const WITH_VALUE = new Set([
  "-o", "--output", "-m", "--max-time", "--connect-timeout", "-x", "--proxy", "--cacert", "--cert", "-E", "--key", "-w", "--write-out", "--retry", "-c", "--cookie-jar", "--resolve", "-T", "--upload-file", "-D", "--dump-header", "-K", "--config", "--limit-rate", "--interface",
]);
const DATA = new Set(["-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--data-urlencode", "--json", "-F", "--form"]);
/** Letters that have a value which may follow at once: `-XPOST`. */
const SHORT_WITH_VALUE = /^-([XHdAbuoemFxEwcTDK])(.+)$/s;

function ofCurl([, ...given]: string[]): WrittenRequest | undefined {
  const args = given.flatMap((arg) => {
    const joined = SHORT_WITH_VALUE.exec(arg) ?? /^(--[\w-]+)=(.*)$/s.exec(arg);
    return joined ? [arg.startsWith("--") ? (joined[1] ?? "") : `-${joined[1] ?? ""}`, joined[2] ?? ""] : [arg];
  });
  let [method, url, isGet] = ["", "", false];
  const headers: string[] = [];
  const data: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? "";
    const value = args[at + 1] ?? "";
    const takes = (): string => {
      at += 1;
      return value;
    };
    if (arg === "-X" || arg === "--request") method = takes();
    else if (arg === "-H" || arg === "--header") headers.push(takes());
    else if (arg === "--url") url = takes();
    else if (arg === "-A" || arg === "--user-agent") headers.push(`User-Agent: ${takes()}`);
    else if (arg === "-b" || arg === "--cookie") headers.push(`Cookie: ${takes()}`);
    else if (arg === "-e" || arg === "--referer") headers.push(`Referer: ${takes()}`);
    else if (arg === "--oauth2-bearer") headers.push(`Authorization: Bearer ${takes()}`);
    else if (arg === "-u" || arg === "--user") headers.push(`Authorization: Basic ${btoa(unescape(encodeURIComponent(takes())))}`);
    else if (DATA.has(arg)) data.push(takes());
    else if (WITH_VALUE.has(arg)) takes();
    else if (arg === "-I" || arg === "--head") method ||= "HEAD";
    else if (arg === "-G" || arg === "--get") isGet = true;
    else if (!arg.startsWith("-") && url === "") url = arg;
  }
  if (url === "") return undefined;
  if (!/^[a-z]+:\/\//i.test(url) && !url.startsWith("/")) url = `http://${url}`;
  if (isGet && data.length > 0) url += `${url.includes("?") ? "&" : "?"}${data.join("&")}`;
  method ||= data.length > 0 && !isGet ? "POST" : "GET";
  // `-H 'Name;'` is a field without a value, and `-H 'Name:'` removes a field.
  const fields = headers.map((field) => field.replace(/;$/, ":")).filter((field) => /^[^\s:]+\s*:/.test(field));
  return withHost({ method: method.toUpperCase(), url, headers: fields.join("\n") });
}

/** The fields of a text as the API has them; of a field that is repeated, the values are joined. The number of a wrong line is returned instead. */
export function fieldsOf(text: string): Record<string, string> | number {
  const fields: Record<string, string> = {};
  for (const [at, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const field = /^\s*([!#$%&'*+.^_`|~\w-]+)\s*:(.*)$/.exec(line);
    if (!field) return at + 1;
    const [name, value] = [field[1] ?? "", (field[2] ?? "").trim()];
    const known = Object.keys(fields).find((other) => other.toLowerCase() === name.toLowerCase());
    if (known === undefined) fields[name] = value;
    else fields[known] = `${fields[known] ?? ""}${known.toLowerCase() === "cookie" ? "; " : ", "}${value}`;
  }
  return fields;
}
