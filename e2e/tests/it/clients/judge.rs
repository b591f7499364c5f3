//! The gateway's log and store as the judge: what a script reports must be what the gateway saw.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use e2e::{Gateway, eventually_within};
use serde_json::Value;

use crate::store;

/// Until the last line is written: an exchange that nobody waits for ends on its own.
const LOG_TIMEOUT: Duration = Duration::from_secs(10);

/// Turns a line that passed into one that failed where the log or the store says otherwise.
pub(super) async fn confirm(gateway: &Gateway, lines: &mut [Vec<Value>]) {
    let wanted: u64 = lines.iter().flatten().filter_map(|line| line["requests"].as_u64()).sum();
    let mut seen = HashMap::new();
    let whole = async || {
        seen = requests(&gateway.stderr());
        let count: usize = seen.values().map(Vec::len).sum();
        (u64::try_from(count).is_ok_and(|count| count >= wanted)).then_some(())
    };
    // What is missing is told below, by its scenario.
    let _ = tokio::time::timeout(LOG_TIMEOUT, eventually_within(LOG_TIMEOUT * 2, "the log is whole", whole)).await;
    let unsettled = unsettled(gateway, seen.values().flatten()).await;
    for line in lines.iter_mut().flatten().filter(|line| line["pass"] == true) {
        let told = line["id"].as_str().and_then(|id| seen.get(id)).map_or(&[][..], Vec::as_slice);
        let lost = told.iter().find(|one| unsettled.contains(&id(one)));
        let agreed =
            lost.map_or_else(|| agrees(line, told), |lost| Err(format!("no row of it is in the store: {lost}")));
        if let Err(why) = agreed {
            line["pass"] = false.into();
            line["detail"] = format!("the gateway saw another thing: {why}").into();
        }
    }
}

/// The id of a log's line as the store's rows have it.
fn id(line: &Value) -> String {
    line["request_id"].as_str().unwrap_or_default().replace('-', "")
}

/// Of the requests that went to a provider and count, those that the store does not have with the same end.
async fn unsettled<'a>(gateway: &Gateway, told: impl Iterator<Item = &'a Value>) -> HashSet<String> {
    let counts = |line: &&Value| {
        let path = line["path"].as_str().unwrap_or_default();
        let free = path.ends_with("count_tokens") || path.ends_with(":countTokens") || line["method"] == "GET";
        !free && line["code"].is_null()
    };
    let mut missing: Vec<(String, String)> =
        told.filter(counts).map(|line| (id(line), line["outcome"].as_str().unwrap_or_default().to_owned())).collect();
    let stored = async || {
        let events = store::all_events(gateway.folder()).await;
        let there: HashSet<(String, String)> = events.into_iter().map(|event| (event.id, event.outcome)).collect();
        missing.retain(|one| !there.contains(one));
        missing.is_empty().then_some(())
    };
    let _ = tokio::time::timeout(LOG_TIMEOUT, eventually_within(LOG_TIMEOUT * 2, "all is stored", stored)).await;
    missing.into_iter().map(|(id, _)| id).collect()
}

/// The log's lines of requests by the id that their callers gave.
fn requests(log: &str) -> HashMap<String, Vec<Value>> {
    let mut all: HashMap<String, Vec<Value>> = HashMap::new();
    for line in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if let (true, Some(id)) = (line["message"] == "request", line["correlation_id"].as_str()) {
            all.entry(id.to_owned()).or_default().push(line);
        }
    }
    all
}

fn agrees(line: &Value, told: &[Value]) -> Result<(), String> {
    let outcomes: Vec<String> =
        told.iter().map(|one| format!("{} {}", one["status"], one["outcome"].as_str().unwrap_or("?"))).collect();
    let all = |matches: &dyn Fn(&str) -> bool| outcomes.iter().all(|outcome| matches(outcome));
    let expected = line["requests"].as_u64();
    let right = match line["case"].as_str() {
        Some("ok" | "tool") => all(&|outcome| outcome == "200 completed"),
        Some("stream") if line["name"] == "cut upstream" || line["name"] == "ended early upstream" => {
            all(&|outcome| outcome == "200 upstream_cut")
        }
        Some("stream") => all(&|outcome| outcome == "200 completed"),
        Some("error") if line["name"] == "rate limit" => outcomes == ["200 completed", "429 completed"],
        Some("error") => all(&|outcome| !outcome.starts_with("200")),
        // Not completed: the gateway noticed, and stopped the upstream.
        Some("cancel" | "timeout") => all(&|outcome| outcome.ends_with("caller_gone")),
        Some("retry") => outcomes.last().is_some_and(|outcome| outcome == "200 completed"),
        other => return Err(format!("no such case: {other:?}")),
    };
    if right && expected == u64::try_from(told.len()).ok() { Ok(()) } else { Err(format!("{expected:?} {outcomes:?}")) }
}
