//! `docs/clients.md`, from the lines of a run.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use e2e::Head;
use serde_json::Value;

const CASES: [&str; 7] = ["ok", "stream", "tool", "error", "cancel", "retry", "timeout"];

const HEAD: &str = "# Clients

What the official clients do before Tollgate, unchanged: each cell is the result of scenarios that ran against the built
binary: COUNTS. `make clients` runs them and writes this page; `make test` runs them
and fails when the page says otherwise.

*ok*: the whole answer, as the client's own types. *stream*: to its end; cut upstream, or closed by the upstream before its
format's last event, it is an error and not a short answer. *tool*: a tool is called and, where the call
allows it, answered. *error*: an unknown key, a spent quota, an unknown model, an upstream's 500 and 529 are the client's own classes with our message, code and request id, and what cannot succeed
is not repeated. *cancel*: the caller leaves, before the answer and within it; the gateway notices, stops the upstream and
settles. *retry*: the client repeats a 429 and a 503 by itself, and succeeds. *timeout*: the client's own runs out first.

✓ all scenarios of the cell passed; – the client does not offer it (lists of models come from the gateway, so nobody waits for
them); (n): note n below the tables.

Where each client points as its users configure it, what its key is sent in, and where it calls first:

| client | version | base URL | credential | path |
|---|---|---|---|---|
";
/// What no scenario of these clients shows: measured or read once, by hand.
const TAIL: &str = "
## Truncated streams

A stream is complete when its format's last event was received: `[DONE]` or a `finish_reason` (chat), `response.completed`,
`response.incomplete` or `response.failed` (Responses), `message_stop` (Messages), a `finishReason` (Gemini). Where the
upstream closes the connection in good order before that, Tollgate adds the format's error event with the code `upstream_reset`, and the request is
logged as `upstream_cut`. Where the provider sent an error event of its own, nothing is added. Speech that is streamed as bytes
has no last event: there, only a cut connection is an error.

On Responses the event `error` has its fields both at the top level, as OpenAI's schema has them, and within `error`: the OpenAI
SDK for Python raises only at the latter. `response.failed` follows, for Codex.

## Exhausted quotas

`quota_status` chooses the status of the response to a client whose quota or budget is exhausted. The body is in the format of
the path: `insufficient_quota` (OpenAI); `rate_limit_error`, `billing_error` or `permission_error` (Anthropic, for 429, 402 and
403); `RESOURCE_EXHAUSTED`, `FAILED_PRECONDITION` or `PERMISSION_DENIED` (Google). It comes with `x-should-retry: false`, and on LLM
paths without `Retry-After`.

How many requests a client sends for one call, measured with errors in these formats:

| client | 429 | 402 | 403 |
|---|--:|--:|--:|
| OpenAI and Anthropic SDKs | 1 | 1 | 1 |
| Google SDKs | 1 | 1 | 1 |
| Claude Code 2.1.197 | 1 | 1 | 1 |
| Codex 0.169 | 1 (1) | 6 | 6 |
| AI SDK 6.0.326 (OpenAI, Anthropic, Google) | 3 | 1 | 1 |
| LiteLLM 1.106.2 (OpenAI, Anthropic) | 1 | 1 | 1 |
| LangChain OpenAI 1.7.3 | 1 | 1 | 1 |
| LangChain Google 4.4.1 | 6, in 35 s | 1 | 1 |
| aider | 8, in 60 s | not measured (2) | not measured (2) |
| opencode | 9, in 71 s | not measured | not measured |
| gemini-cli | 4 | not measured | not measured |

(1) Codex replaces the message by its own: \"Quota exceeded. Check your plan and billing details.\" (2) LiteLLM, which
aider uses, reports 402 and 403 in OpenAI's format as an `APIError`.

With the default, 429, the official SDKs, Claude Code and Codex stop after one request. Choose 402 where clients are built on the
AI SDK or LangChain Google and none of them is Codex. Measured on loopback, 2026-11-20 (SDKs, Claude Code, Codex) and 2026-11-21 (the
others). The figures of aider, opencode and gemini-cli are those of an outside audit.

## Rejected keys

In OpenAI's format the message of a rejected key begins with `Incorrect API key provided`. LiteLLM looks for these words: with
them it raises an `AuthenticationError`, without them a `BadRequestError` (1.106.2, measured 2026-11-21).

## Paths that are not served

Requests to other parts of the providers' APIs (files, batches, reranking, realtime, conversations, assistants, vector stores,
videos, stored responses, Vertex AI, Amazon Bedrock) are 404 `route_not_found` in the format of their path. Where the path would be an
endpoint under another base URL (`/chat/completions`, `/v1/v1/messages`, `/v1/chat/completions/`), the message names that endpoint. A
model named `PROVIDER/MODEL` may stand in a path with its slash as it is: `/openai/deployments/PROVIDER/MODEL/chat/completions`,
`/v1beta/PROVIDER/MODEL:generateContent`.

`background: true` on Responses is 400, with `param: background`: stored responses are not served, so it could not be fetched.
";
/// Where a client may put its key, and how.
const CREDENTIALS: [(&str, &str); 4] = [
    ("authorization", "Authorization: Bearer KEY"),
    ("x-api-key", "x-api-key: KEY"),
    ("api-key", "api-key: KEY"),
    ("x-goog-api-key", "x-goog-api-key: KEY"),
];

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/clients.md")
}

/// A scenario that failed, for a person.
pub(super) fn told(line: &Value) -> String {
    let word = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let what = ["client", "version", "call", "case", "name", "id"].map(word).join(" · ");
    format!("{what}\n    {}", word("detail"))
}

/// The page says what ran; with `UPDATE_CLIENTS` set it is written anew.
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
    let (mut page, mut notes) = (HEAD.to_owned(), Vec::<String>::new());
    let (clients, scenarios) = (lines.len(), lines.iter().map(Vec::len).sum::<usize>());
    page = page.replace("COUNTS", &format!("{scenarios} scenarios of {clients} clients"));
    for client in lines.iter().filter_map(|lines| lines.first()) {
        let _ = writeln!(page, "{}", fact(client, sent));
    }
    for client in lines.iter().filter(|lines| !lines.is_empty()) {
        let word = |name: &str| client[0][name].as_str().unwrap_or_default();
        let _ = write!(page, "\n## {} {}\n\n| call | {} |\n", word("client"), word("version"), CASES.join(" | "));
        let _ = writeln!(page, "|---|{}", ":-:|".repeat(CASES.len()));
        let mut calls: Vec<&str> = Vec::new();
        for call in client.iter().filter_map(|line| line["call"].as_str()) {
            if !calls.contains(&call) {
                calls.push(call);
            }
        }
        for call in calls {
            let of_call: Vec<&Value> = client.iter().filter(|line| line["call"] == call).collect();
            let cells = CASES.map(|case| cell(&of_call, case, &mut notes));
            let _ = writeln!(page, "| `{call}` | {} |", cells.join(" | "));
        }
    }
    if !notes.is_empty() {
        page.push_str("\n## Notes\n\n");
        for (at, note) in notes.iter().enumerate() {
            let _ = writeln!(page, "{}. {note}", at + 1);
        }
    }
    page + TAIL
}

/// What the probe was sent by the client of a line.
fn fact(line: &Value, sent: &[Head]) -> String {
    let word = |name: &str| line[name].as_str().unwrap_or_default();
    let probe = word("id").rsplit_once('.').map(|(client, _)| format!("{client}.probe"));
    let head = sent.iter().find(|head| head.header("x-request-id").map(str::to_owned) == probe).unwrap();
    let credentials = CREDENTIALS.iter().filter(|(name, _)| head.header(name).is_some_and(|value| !value.is_empty()));
    let credentials: Vec<String> = credentials.map(|(_, shown)| format!("`{shown}`")).collect();
    let path = head.word(1).replace("/mock/", "/MODEL/").replace("/mock:", "/MODEL:");
    format!(
        "| {} | {} | `http://GATEWAY{}` | {} | `{path}` |",
        word("client"),
        word("version"),
        word("base"),
        credentials.join(", ")
    )
}

/// ✓ with the numbers of its notes, or –: a call's scenarios of a case.
fn cell(lines: &[&Value], case: &str, notes: &mut Vec<String>) -> String {
    let of_case: Vec<&&Value> = lines.iter().filter(|line| line["case"] == case).collect();
    let mut numbers: Vec<usize> = Vec::new();
    for note in of_case.iter().filter_map(|line| line["note"].as_str()) {
        let at = notes.iter().position(|known| known == note).unwrap_or_else(|| {
            notes.push(note.to_owned());
            notes.len() - 1
        });
        if !numbers.contains(&(at + 1)) {
            numbers.push(at + 1);
        }
    }
    match (of_case.is_empty(), numbers.is_empty()) {
        (true, _) => "–".to_owned(),
        (false, true) => "✓".to_owned(),
        (false, false) => {
            let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            format!("✓ ({})", numbers.join(", "))
        }
    }
}
