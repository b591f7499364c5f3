//! Generates `docs/clients.md` from the lines of a run.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use e2e::Head;
use serde_json::Value;

const CASES: [&str; 7] = ["ok", "stream", "tool", "error", "cancel", "retry", "timeout"];

const HEAD: &str = "# Clients

The official clients of OpenAI (with Azure's class), Anthropic and Google work with Tollgate unchanged: `make clients` runs COUNTS against the
built binary and generates this page.

## Client settings

Versions, base URL, credential, and path of a first request:

";
const RESULTS: &str = "
## Results

All scenarios of the listed kinds passed; a number refers to a note.

- **ok**: a complete response in the client's own types.
- **stream**: the stream is read to its end, and is an error if the upstream cuts it.
- **tool**: the model calls a tool, and the client sends the tool's result.
- **error**: the client's own error class, with message, code and request id, without a useless repetition.
- **cancel**: Tollgate aborts the upstream request and settles the usage.
- **retry**: a repetition after 429 and after 503 succeeds.
- **timeout**: the client's own timeout expires first.
- **failures**: error, cancel, retry and timeout.
";
/// Facts that the scenarios do not show; they were measured or read once, by hand.
const TAIL: &str = "
## Silent providers

A reasoning model may send no byte for minutes. The client of a stream then gets a keep-alive after at most 15 s, also before the first event: a comment, `event: ping` within a response of Messages, or a blank line in Google's format, because Google's SDKs refuse comments. A provider may be silent for `ai.timeouts.idle` (by default 10 minutes, as `first_byte`). A provider that only sends comments is stopped at `ai.timeouts.total`.

## Truncated streams

A chat stream that ends without any content gets an error event with the code `upstream_protocol` in place of its end. If the upstream closes the connection before the last event, Tollgate adds the format's error event with the code `upstream_reset`, and logs
`upstream_cut`.

## Exhausted quotas

[`quota_status`](configuration.md#the-whole-file) selects the status for an exhausted quota or budget. On LLM paths, the error's type is:

- OpenAI: `insufficient_quota`; for Codex, `usage_limit_reached` with the message in `x-codex-promo-message`, which it shows
- Anthropic: `billing_error` (429, 402) or `permission_error` (403)
- Google: `RESOURCE_EXHAUSTED` (429), `FAILED_PRECONDITION` (402) or `PERMISSION_DENIED` (403), with a `google.rpc.QuotaFailure`

Such a response has no `Retry-After`, except for Claude Code, which does not repeat the call. The table shows the number of requests that a client sends for one call:

| client | `User-Agent` | 429 | 402, 403 |
|---|---|---|---|
| official SDKs, Claude Code 2.1.197, LiteLLM 1.106.2, LangChain OpenAI 1.7.3 | below | 1 | 1 |
| Codex 0.169 | `codex…` | 1 | 6 |
| AI SDK 6.0.326 | `ai/`, `ai-sdk/` | 3 | 1 |
| LlamaIndex (OpenAI) | `OpenAI/Python` | 3 | 1 |
| aider | `aider/`, `litellm/` or `OpenAI/Python` | 10 and more | 8 |
| opencode | `opencode/` | 8 and more | 2 |
| LangChain Google 4.4.1 | `langchain-google…` | 6, in 35 s | 1 |
| gemini-cli | `GeminiCLI` | 5 and more, without a `QuotaFailure` | 1 |
| Qwen Code, Continue, pi | `QwenCode/`, `Continue/`, `pi/` or `OpenAI/JS` | several | 1 |

Keep the default, 429, for the official SDKs, Claude Code and Codex. `auto` selects the status by `User-Agent`:

- 402: `OpenAI/Python`, `AsyncOpenAI/Python`, `OpenAI/JS`, `litellm/`, and the clients of the last seven rows
- 429: all others, such as `Anthropic/…`, `google-genai-sdk/`, `claude-cli/` and `codex…`

(Measured on 2026-11-20 and 2026-11-21, except LlamaIndex, aider, opencode, gemini-cli and the last row, which are from external audits.)

## Lasting refusals

- If a provider refuses the operator's credential, or its account has no money, the client gets 502 `upstream_protocol` with `x-should-retry: false`. The credential is not sent to this model again for a minute; if the model has several targets, their [cooldown](fallback.md) applies instead. A user's own credential is always sent.
- Codex repeats a call after 401. A missing, malformed, unknown or revoked key is therefore 400 `invalid_api_key` for `codex…`.

## Paths that are not served

Files, batches, reranking, realtime, conversations, assistants, vector stores, videos, stored responses (400 for `background: true`), Vertex AI and
Amazon Bedrock get 404 `route_not_found`.

A model `PROVIDER/MODEL` may be part of a path, with its slash: `/v1beta/PROVIDER/MODEL:generateContent`.
";
/// The header fields in which clients send a key, and their spelling in the table.
const CREDENTIALS: [(&str, &str); 4] = [
    ("authorization", "Authorization: Bearer KEY"),
    ("x-api-key", "x-api-key: KEY"),
    ("api-key", "api-key: KEY"),
    ("x-goog-api-key", "x-goog-api-key: KEY"),
];

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/clients.md")
}

/// Describes a failed scenario for a reader.
pub(super) fn summary(line: &Value) -> String {
    let word = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let what = ["client", "version", "call", "case", "name", "id"].map(word).join(" · ");
    format!("{what}\n    {}", word("detail"))
}

/// Asserts that the page equals the generated text; with `UPDATE_CLIENTS` set, writes the page first.
pub(super) fn compare(lines: &[Vec<Value>], sent: &[Head]) {
    let text = render(lines, sent);
    if std::env::var_os("UPDATE_CLIENTS").is_some() {
        fs::write(page(), &text).unwrap();
    }
    let written = fs::read_to_string(page()).unwrap_or_default();
    let differs = text.lines().zip(written.lines()).find(|(ran, page)| ran != page);
    assert!(text == written, "docs/clients.md differs from what ran: run `make clients` ({differs:?})");
}

fn render(lines: &[Vec<Value>], sent: &[Head]) -> String {
    let clients = lines.len();
    let scenarios = lines.iter().map(Vec::len).sum::<usize>();
    let mut page = HEAD.replace("COUNTS", &format!("{scenarios} scenarios of {clients} clients"));
    page.push_str(&settings(lines, sent));
    page.push_str(RESULTS);
    let mut notes = Vec::<String>::new();
    for Group { clients, results } in groups(lines) {
        let clients: Vec<String> = clients.iter().map(|(name, versions)| format!("{name} {versions}")).collect();
        let _ = write!(page, "\n### {}\n\n", clients.join("; "));
        for (calls, cells) in merged(&results) {
            let shown: Vec<String> =
                CASES.iter().zip(cells).filter_map(|(case, cell)| shown(case, cell.as_deref(), &mut notes)).collect();
            let shown = shown.join(", ").replace("error, cancel, retry, timeout", "failures");
            let _ = writeln!(page, "- {}: {shown}", calls.join(", "));
        }
    }
    if !notes.is_empty() {
        page.push_str("\n### Notes\n\n");
        for (at, note) in notes.iter().enumerate() {
            let _ = writeln!(page, "{}. {note}", at + 1);
        }
    }
    page + TAIL
}

/// The scenarios of one call and case: their notes, each once; `None` if there are no such scenarios.
type Cell = Option<Vec<String>>;

/// The results of a client: each call with a cell per case.
type Results = Vec<(String, [Cell; CASES.len()])>;

/// Clients with equal results.
struct Group {
    /// Names of clients, each with its versions.
    clients: Vec<(String, String)>,
    results: Results,
}

/// Groups the clients of a run by equal results, in the order of the first client of each group.
fn groups(lines: &[Vec<Value>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for client in lines.iter().filter(|lines| !lines.is_empty()) {
        let [name, version] = ["client", "version"].map(|key| client[0][key].as_str().unwrap_or_default().to_owned());
        let results = results(client);
        let Some(group) = groups.iter_mut().find(|group| group.results == results) else {
            groups.push(Group { clients: vec![(name, version)], results });
            continue;
        };
        match group.clients.iter_mut().find(|(known, _)| *known == name) {
            Some((_, versions)) => versions.push_str(&format!(" and {version}")),
            None => group.clients.push((name, version)),
        }
    }
    groups
}

fn results(client: &[Value]) -> Results {
    let mut results = Results::new();
    for line in client {
        let Some(call) = line["call"].as_str() else { continue };
        let Some(case) = line["case"].as_str() else { continue };
        let Some(case) = CASES.iter().position(|known| *known == case) else { continue };
        let at = results.iter().position(|(known, _)| known == call).unwrap_or_else(|| {
            results.push((call.to_owned(), Default::default()));
            results.len() - 1
        });
        let notes = results[at].1[case].get_or_insert_default();
        if let Some(note) = line["note"].as_str().filter(|note| !notes.iter().any(|known| known == note)) {
            notes.push(note.to_owned());
        }
    }
    results
}

/// Returns the calls with equal cells together, in the order of the first one.
fn merged(results: &Results) -> Vec<(Vec<String>, &[Cell; CASES.len()])> {
    let mut merged: Vec<(Vec<String>, &[Cell; CASES.len()])> = Vec::new();
    for (call, cells) in results {
        let call = format!("`{call}`");
        match merged.iter_mut().find(|(_, known)| *known == cells) {
            Some((calls, _)) => calls.push(call),
            None => merged.push((vec![call], cells)),
        }
    }
    merged
}

/// Returns a case with the numbers of its notes; `None` if it has no scenarios. A new note gets the next number.
fn shown(case: &str, cell: Option<&[String]>, notes: &mut Vec<String>) -> Option<String> {
    let mut number = |note: &String| {
        let at = notes.iter().position(|known| known == note).unwrap_or_else(|| {
            notes.push(note.clone());
            notes.len() - 1
        });
        (at + 1).to_string()
    };
    let numbers: Vec<String> = cell?.iter().map(&mut number).collect();
    Some(if numbers.is_empty() { case.to_owned() } else { format!("{case} ({})", numbers.join(", ")) })
}

/// Returns the list of the clients' settings. Versions of one client with the same settings share an item.
fn settings(lines: &[Vec<Value>], sent: &[Head]) -> String {
    let mut rows: Vec<(&str, String, String)> = Vec::new();
    for line in lines.iter().filter_map(|lines| lines.first()) {
        let [name, version] = ["client", "version"].map(|key| line[key].as_str().unwrap_or_default());
        let setting = setting(line, sent);
        match rows.iter_mut().find(|(known, _, same)| *known == name && *same == setting) {
            Some((_, versions, _)) => versions.push_str(&format!(", {version}")),
            None => rows.push((name, version.to_owned(), setting)),
        }
    }
    rows.iter().map(|(name, versions, setting)| format!("- {name} {versions}: {setting}\n")).collect()
}

/// Returns the base URL, the credential's field and the path of a client: as configured, and as the probe received its
/// first request.
fn setting(line: &Value, sent: &[Head]) -> String {
    let word = |name: &str| line[name].as_str().unwrap_or_default();
    let probe = word("id").rsplit_once('.').map(|(client, _)| format!("{client}.probe"));
    let head = sent.iter().find(|head| head.header("x-request-id").map(str::to_owned) == probe).unwrap();
    let credentials = CREDENTIALS.iter().filter(|(name, _)| head.header(name).is_some_and(|value| !value.is_empty()));
    let credentials: Vec<String> = credentials.map(|(_, shown)| format!("`{shown}`")).collect();
    let path = head.word(1).replace("/mock/", "/MODEL/").replace("/mock:", "/MODEL:");
    format!("`http://GATEWAY{}`, {}, `{path}`", word("base"), credentials.join(" and "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(client: (&str, &str), call: &str, case: &str, note: Option<&str>) -> Value {
        let (name, version) = client;
        json!({"client": name, "version": version, "base": "/v1", "id": format!("{name}-{version}.0"),
            "call": call, "case": case, "note": note})
    }

    fn probe(name: &str, version: &str, credential: &str) -> Head {
        let head =
            format!("POST /v1/mock:go HTTP/1.1\r\nx-request-id: {name}-{version}.probe\r\n{credential}: k\r\n\r\n");
        Head::parse(head.into_bytes())
    }

    #[test]
    fn clients_with_equal_results_share_a_list() {
        let clients = [("A", "2"), ("A", "1"), ("B", "5"), ("B", "4")];
        let mut lines = clients.map(|client| {
            let ok = line(client, "go", "ok", None);
            let retry = |call| line(client, call, "retry", Some("Slowly."));
            vec![
                ok.clone(),
                ok,
                retry("go"),
                line(client, "stop", "ok", None),
                line(client, "run", "ok", None),
                retry("run"),
            ]
        });
        lines[3].push(line(clients[3], "stop", "ok", Some("Rarely.")));
        lines[3].push(line(clients[3], "stop", "ok", Some("Slowly.")));
        let sent =
            [0, 1, 2, 3].map(|at| probe(clients[at].0, clients[at].1, if at == 3 { "api-key" } else { "x-api-key" }));
        let page = render(&lines, &sent);
        let (settings, rest) = page.split_once(RESULTS).unwrap();
        let (results, _) = rest.split_once(TAIL).unwrap();
        assert!(settings.contains("runs 26 scenarios of 4 clients against"), "{settings}");
        let rows = "\
            - A 2, 1: `http://GATEWAY/v1`, `x-api-key: KEY`, `/v1/MODEL:go`\n\
            - B 5: `http://GATEWAY/v1`, `x-api-key: KEY`, `/v1/MODEL:go`\n\
            - B 4: `http://GATEWAY/v1`, `api-key: KEY`, `/v1/MODEL:go`\n";
        assert!(settings.ends_with(rows), "{settings}");
        let expected = "\n### A 2 and 1; B 5\n\n- `go`, `run`: ok, retry (1)\n- `stop`: ok\n\
             \n### B 4\n\n- `go`, `run`: ok, retry (1)\n- `stop`: ok (2, 1)\n\
             \n### Notes\n\n1. Slowly.\n2. Rarely.\n";
        assert_eq!(results, expected);
    }
}
