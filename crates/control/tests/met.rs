//! Whether the suite beside this met every operation of the OpenAPI document with every status that is listed for it. That suite
//! notes what it met where it ran in full; cargo runs this one after it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking; JSON is read by indexing")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// What no test brings about at any operation: a fault of ours; and a body that comes too slowly, which is one piece of code for all
/// (`server::a_body_that_does_not_arrive_is_a_timeout`).
const NOWHERE: [&str; 2] = ["500", "408"];
/// What is listed and was met by no test: probes and pages that need no store and are not limited, credentials where none is
/// looked at, a store with 100,000 budgets, and two refusals that are tested nowhere yet (the last).
const MISSING: [&str; 12] = [
    "GET /health 503",
    "GET /install.sh 503",
    "GET /livez 503",
    "GET /metrics 503",
    "GET /openapi.json 503",
    "POST /api/auth/link 401",
    "POST /api/auth/link/check 401",
    "POST /api/auth/link/check 403",
    "POST /api/auth/register 401",
    "PUT /api/budgets/{dimension}/{id}/{measure}/{per} 409",
    "PATCH /api/provider-keys/{id} 422",
    "POST /api/users/{id}/password-link 409",
];

#[test]
fn every_operation_was_met_with_every_status_that_is_listed_for_it() {
    let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    let store =
        if std::env::var("TOLLGATE_TEST_STORE").is_ok_and(|store| store == "postgres") { "postgres" } else { "sqlite" };
    let notes = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("control-met-{store}"));
    let Ok(met) = std::fs::read_to_string(&notes) else {
        println!(
            "nothing to judge: cargo test --workspace --exclude xtask --test control, without a filter, notes what it meets"
        );
        return;
    };
    let met: BTreeSet<&str> = met.lines().collect();
    let mut missing = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for status in operation["responses"].as_object().unwrap().keys() {
                let line = format!("{} {path} {status}", method.to_uppercase());
                if !met.contains(line.as_str()) && !NOWHERE.contains(&status.as_str()) {
                    missing.insert(line);
                }
            }
        }
    }
    let known: BTreeSet<String> = MISSING.into_iter().map(str::to_owned).collect();
    let news: Vec<_> = missing.difference(&known).collect();
    assert!(news.is_empty(), "listed, and met by no test: {news:#?}");
    let stale: Vec<_> = known.difference(&missing).collect();
    assert!(stale.is_empty(), "met, and still said to be missing: {stale:#?}");
}
