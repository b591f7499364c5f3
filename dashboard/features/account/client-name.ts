/** Order matters: most browsers name the ones that they imitate. */
const BROWSERS: [RegExp, string][] = [
  [/Edg(e|A|iOS)?\//, "Edge"],
  [/OPR\//, "Opera"],
  [/SamsungBrowser\//, "Samsung Internet"],
  [/(Firefox|FxiOS)\//, "Firefox"],
  [/(Chrome|CriOS|Chromium)\//, "Chrome"],
  [/Version\/[\d.]+ .*Safari\//, "Safari"],
];
const SYSTEMS: [RegExp, string][] = [
  [/iPhone|iPad/, "iOS"],
  [/Android/, "Android"],
  [/Windows/, "Windows"],
  [/Mac OS X|Macintosh/, "macOS"],
  [/CrOS/, "ChromeOS"],
  [/Linux/, "Linux"],
];

function match(table: [RegExp, string][], agent: string): string | undefined {
  return table.find(([pattern]) => pattern.test(agent))?.[1];
}

/** `Firefox · Linux` for a browser, the program's own name such as `curl/8.14` for others; undefined without an agent. */
export function clientName(agent: string | null | undefined): string | undefined {
  if (!agent) return undefined;
  const browser = match(BROWSERS, agent);
  if (browser) return [browser, match(SYSTEMS, agent)].filter((part) => part).join(" · ");
  return agent.split(" ")[0];
}
