//! Compares responses with the OpenAPI document. Tests on the built binary compare the schemas.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use serde_json::Value;

use crate::client::Answer;
use crate::postgres;

pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap());

/// Asserts that the document lists the response to `METHOD TARGET`: its status, and the code of an error. Unknown
/// paths and methods are ignored.
pub(crate) fn check(line: &str, answer: &Answer) {
    let (method, target) = line.split_once(' ').unwrap();
    let path = target.split('?').next().unwrap();
    let Some((template, answers)) = answers(method, path) else { return };
    let status = answer.status.to_string();
    if answer.status == 431 {
        // The head was refused; the request reached no operation.
        return;
    }
    // Errors of the install script are scripts.
    let is_json = answer.headers.get("content-type").is_some_and(|media| media == "application/json");
    let code = (answer.status >= 400 && is_json).then(|| answer.json()["error"]["code"].clone());
    let listed = answers.get(&status).is_some_and(|listed| match code.as_ref().and_then(Value::as_str) {
        Some(code) => listed["content"]["application/json"]["examples"].get(code).is_some(),
        None => true,
    });
    assert!(
        listed || answer.body.contains("nothing is found at this path"),
        "docs/openapi.json lists no {status} {code:?} for {line}: name it in the handler's `x-codes`"
    );
    if listed {
        note(&format!("{method} {template}"), answer.status);
    }
}

/// Records that an operation responded with a status, in full runs only. `tests/met.rs` then checks that every listed
/// status occurred. A partial run removes the records of an earlier one; the second run of a failed test adds to them.
fn note(operation: &str, status: u16) {
    static MET: LazyLock<Mutex<(BTreeSet<String>, Option<File>)>> = LazyLock::new(|| {
        let store = if postgres::is_chosen() { "postgres" } else { "sqlite" };
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("control-met-{store}"));
        let is_second = std::env::var_os("TOLLGATE_TEST_AGAIN").is_some();
        if !is_second {
            let _ = std::fs::remove_file(&path);
        }
        let is_recorded = is_second || is_full_run();
        let file = || File::options().create(true).append(true).open(path).unwrap();
        Mutex::new((BTreeSet::new(), is_recorded.then(file)))
    });
    let line = format!("{operation} {status}\n");
    let mut tested = MET.lock().unwrap();
    if tested.0.insert(line.clone())
        && let Some(file) = &mut tested.1
    {
        file.write_all(line.as_bytes()).unwrap();
    }
}

/// Whether all tests of this suite run: the arguments are options, and of other suites only tests are skipped.
fn is_full_run() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_of_others = |at: usize| at > 0 && arguments[at - 1] == "--skip" && arguments[at] == "storms::";
    (0..arguments.len()).all(|at| {
        let is_option = arguments[at].starts_with("--") && arguments[at] != "--ignored";
        is_option || is_of_others(at)
    })
}

/// Returns every operation as in `GET /health`.
pub(crate) fn calls() -> Vec<String> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let calls = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    calls.collect()
}

/// Returns the operation's path in the document, and its responses by status.
fn answers(method: &str, path: &str) -> Option<(&'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let fitting = paths.filter(|(template, item)| fits(template, path) && item.get(method.to_lowercase()).is_some());
    let (template, item) = fitting.min_by_key(|(template, _)| template.matches('{').count())?;
    Some((template, &item[method.to_lowercase()]["responses"]))
}

/// Whether the operation at this path declares no body.
pub(crate) fn takes_no_body(method: &str, path: &str) -> bool {
    let mut fitting = DOCUMENT["paths"].as_object().unwrap().iter().filter(|(template, _)| fits(template, path));
    fitting.any(|(_, item)| item.get(method).is_some_and(|operation| operation.get("requestBody").is_none()))
}

fn fits(template: &str, path: &str) -> bool {
    let template: Vec<&str> = template.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    let mut both = template.iter().zip(&path);
    template.len() == path.len() && both.all(|(word, part)| word.starts_with('{') || word == part)
}
