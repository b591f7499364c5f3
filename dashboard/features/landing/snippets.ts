import type { Site } from "@/lib/queries";

export type Client = "curl" | "openai" | "anthropic" | "codex" | "claude";

export interface Snippet {
  client: Client;
  label: string;
  text: string;
}

interface Words {
  codexNote: string;
  claudeNote: string;
}

/** Code that calls this gateway, one text per client. */
export function snippets(site: Site, words: Words): Snippet[] {
  const { llm, route } = site;
  if (!llm) return route ? [{ client: "curl", label: "curl", text: routeCall(route) }] : [];
  const base = llm.base_url;
  const all: Snippet[] = [
    {
      client: "openai",
      label: "OpenAI SDK",
      text: `import os\nfrom openai import OpenAI\n\nclient = OpenAI(\n    base_url="${base}/v1",\n    api_key=os.environ["${llm.key_variable}"],\n)`,
    },
    {
      client: "anthropic",
      label: "Anthropic SDK",
      text: `import os\nfrom anthropic import Anthropic\n\nclient = Anthropic(\n    base_url="${base}",\n    auth_token=os.environ["${llm.key_variable}"],\n)`,
    },
    { client: "codex", label: "Codex CLI", text: `${words.codexNote}\n${install(site, "codex")}` },
    { client: "claude", label: "Claude Code", text: `${words.claudeNote}\n${install(site, "claude")}` },
  ];
  if (llm.example_url && llm.example_body) {
    all.unshift({ client: "curl", label: "curl", text: curl(llm.example_url, llm.example_body, llm.key_variable) });
  }
  return all;
}

/** The example request for a shell. The JSON of a chat has two lines, because one is longer than the box. */
export function curl(url: string, json: string, variable: string): string {
  const body = json.replace(',"messages":', ',\n       "messages":');
  return `curl -N '${url}' \\\n  -H "Authorization: Bearer $${variable}" \\\n  -H 'Content-Type: application/json' \\\n  -d '${body}'`;
}

/** A call of an ordinary route for a shell. */
function routeCall({ url, needs_key, key_variable }: NonNullable<Site["route"]>): string {
  return needs_key ? `curl '${url}' \\\n  -H "Authorization: Bearer $${key_variable}"` : `curl '${url}'`;
}

export function install(site: Site, agent: "codex" | "claude"): string {
  return `curl -fsSL '${site.control_url}/install.sh?agent=${agent}' | sh`;
}
