//! Checks reports of client scripts against the log and the store.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use e2e::{Gateway, eventually_within};
use serde_json::Value;

use crate::store;

/// Timeout for the last log line: a request that its client cancelled ends later.
const LOG_TIMEOUT: Duration = Duration::from_secs(30);

/// Marks passed lines as failed if the log or the store disagrees.
pub(super) async fn confirm(gateway: &Gateway, lines: &mut [Vec<Value>]) {
    let of_line = |line: &Value| Some((line["id"].as_str()?.to_owned(), line["requests"].as_u64()?));
    let expected: Vec<(String, u64)> = lines.iter().flatten().filter_map(of_line).collect();
    let mut seen = HashMap::new();
    let whole = async || {
        seen = requests(&gateway.stderr());
        // Requests that did not arrive before a timeout have other ids, and are not checked.
        let is_logged = |(id, count): &(String, u64)| {
            u64::try_from(seen.get(id).map_or(0, Vec::len)).is_ok_and(|logged| logged >= *count)
        };
        expected.iter().all(is_logged).then_some(())
    };
    // Missing log lines are reported below for their scenarios.
    let _ = tokio::time::timeout(LOG_TIMEOUT, eventually_within(LOG_TIMEOUT * 2, "the log is complete", whole)).await;
    seen.retain(|id, _| expected.iter().any(|(known, _)| known == id));
    let unsettled = unsettled(gateway, seen.values().flatten()).await;
    for line in lines.iter_mut().flatten().filter(|line| line["pass"] == true) {
        let reported = line["id"].as_str().and_then(|id| seen.get(id)).map_or(&[][..], Vec::as_slice);
        let lost = reported.iter().find(|one| unsettled.contains(&id(one)));
        let agreed =
            lost.map_or_else(|| agrees(line, reported), |lost| Err(format!("the store has no row for it: {lost}")));
        if let Err(why) = agreed {
            line["pass"] = false.into();
            line["detail"] = format!("the gateway's log or store differs: {why}").into();
        }
    }
}

/// Returns the request id of a log line as the store spells it.
fn id(line: &Value) -> String {
    line["request_id"].as_str().unwrap_or_default().replace('-', "")
}

/// Returns the ids of counted provider requests that the store lacks or has with another outcome.
async fn unsettled<'a>(gateway: &Gateway, reported: impl Iterator<Item = &'a Value>) -> HashSet<String> {
    let counts = |line: &&Value| {
        let path = line["path"].as_str().unwrap_or_default();
        let free = path.ends_with("count_tokens") || path.ends_with(":countTokens") || line["method"] == "GET";
        !free && line["code"].is_null()
    };
    let mut missing: Vec<(String, String)> = reported
        .filter(counts)
        .map(|line| (id(line), line["outcome"].as_str().unwrap_or_default().to_owned()))
        .collect();
    let stored = async || {
        let events = store::all_events(gateway.folder()).await;
        let there: HashSet<(String, String)> = events.into_iter().map(|event| (event.id, event.outcome)).collect();
        missing.retain(|one| !there.contains(one));
        missing.is_empty().then_some(())
    };
    let _ =
        tokio::time::timeout(LOG_TIMEOUT, eventually_within(LOG_TIMEOUT * 2, "all requests are stored", stored)).await;
    missing.into_iter().map(|(id, _)| id).collect()
}

/// Returns the log lines of requests by the request id that the client sent.
fn requests(log: &str) -> HashMap<String, Vec<Value>> {
    let mut all: HashMap<String, Vec<Value>> = HashMap::new();
    for line in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if line["message"] == "request"
            && let Some(id) = line["correlation_id"].as_str()
        {
            all.entry(id.to_owned()).or_default().push(line);
        }
    }
    all
}

fn agrees(line: &Value, reported: &[Value]) -> Result<(), String> {
    let outcomes: Vec<String> =
        reported.iter().map(|one| format!("{} {}", one["status"], one["outcome"].as_str().unwrap_or("?"))).collect();
    let all = |matches: &dyn Fn(&str) -> bool| outcomes.iter().all(|outcome| matches(outcome));
    let expected = line["requests"].as_u64();
    let right = match line["case"].as_str() {
        Some("ok" | "tool") => all(&|outcome| outcome == "200 completed"),
        Some("stream") if line["name"] == "cut upstream" || line["name"] == "ended early upstream" => {
            all(&|outcome| outcome == "200 upstream_cut")
        }
        Some("stream") => all(&|outcome| outcome == "200 completed"),
        Some("error") if line["name"] == "rate limit" => outcomes == ["200 completed", "429 refused"],
        Some("error") => all(&|outcome| !outcome.starts_with("200")),
        // Not `completed`: Tollgate detected the disconnect and aborted the upstream request.
        Some("cancel" | "timeout") => all(&|outcome| outcome.ends_with("caller_gone")),
        Some("retry") => outcomes.last().is_some_and(|outcome| outcome == "200 completed"),
        other => return Err(format!("unknown case: {other:?}")),
    };
    if right && expected == u64::try_from(reported.len()).ok() {
        Ok(())
    } else {
        // Codes and durations in the lines show what happened instead.
        let lines: Vec<String> = reported.iter().map(Value::to_string).collect();
        Err(format!("{expected:?} {outcomes:?}\n{}", lines.join("\n")))
    }
}
