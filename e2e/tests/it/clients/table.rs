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

*ok*: the whole answer, as the client's own types. *stream*: to its end; cut upstream, it is an error and not a short
answer. *tool*: a tool is called and, where the call allows it, answered. *error*: an unknown key, a spent quota, an unknown
model, an upstream's 500 and 529 are the client's own classes with our message, code and request id, and what cannot succeed
is not repeated. *cancel*: the caller leaves, before the answer and within it; the gateway notices, stops the upstream and
settles. *retry*: the client repeats a 429 and a 503 by itself, and succeeds. *timeout*: the client's own runs out first.

✓ all scenarios of the cell passed; – the client does not offer it (lists of models come from the gateway, so nobody waits for
them); (n): note n below the tables.

Where each client points as its users configure it, what its key is sent in, and where it calls first:

| client | version | base URL | credential | path |
|---|---|---|---|---|
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
    page
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
