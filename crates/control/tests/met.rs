//! Checks that the suite beside this file saw every operation of the OpenAPI document with every listed status. A full
//! run of that suite records the responses; cargo runs this test afterwards.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking; JSON is read by indexing")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// Statuses that no test causes at any operation: internal errors, and slow bodies, which one piece of code handles
/// for all operations (`server::a_body_that_does_not_arrive_is_a_timeout`).
const NOWHERE: [&str; 2] = ["500", "408"];
/// Listed statuses that no test causes: at probes and pages that need no store and have no limits, credentials at
/// operations that ignore them, sessions by the key of a closed customer where the key itself may pay, a store with 100,000
/// budgets, and two refusals without a test (the last ones).
const MISSING: [&str; 30] = [
    "GET /api/billing/methods 402",
    "GET /api/invoices 402",
    "GET /api/invoices/{id} 402",
    "GET /api/invoices/{id}/html 402",
    "GET /api/invoices/{id}/pdf 402",
    "GET /api/invoices/{id}/receipt 402",
    "GET /api/payments/{id} 402",
    "GET /api/subscription 402",
    "GET /api/wallet 402",
    "POST /api/invoices/{id}/pay 402",
    "POST /api/payments/{id}/stub 402",
    "POST /api/wallet/topups 402",
    "GET /api/site 503",
    "GET /health 503",
    "GET /install.sh 503",
    "GET /livez 503",
    "GET /metrics 503",
    "GET /openapi.json 503",
    "POST /api/auth/link 401",
    "POST /api/auth/link 402",
    "POST /api/auth/link/check 402",
    "POST /api/auth/login 402",
    "POST /api/auth/logout 402",
    "POST /api/auth/refresh 402",
    "POST /api/auth/register 402",
    "POST /api/auth/link/check 401",
    "POST /api/auth/link/check 403",
    "POST /api/auth/register 401",
    "PUT /api/budgets/{dimension}/{id}/{measure}/{per} 409",
    "PATCH /api/provider-keys/{id} 422",
];

#[test]
fn every_operation_was_tested_with_every_declared_status() {
    let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    let store =
        if std::env::var("TOLLGATE_TEST_STORE").is_ok_and(|store| store == "postgres") { "postgres" } else { "sqlite" };
    let notes = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("control-met-{store}"));
    let Ok(tested) = std::fs::read_to_string(&notes) else {
        println!("nothing to check: cargo test --workspace --test control, without a filter, notes what it meets");
        return;
    };
    let tested: BTreeSet<&str> = tested.lines().collect();
    let mut missing = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for status in operation["responses"].as_object().unwrap().keys() {
                let line = format!("{} {path} {status}", method.to_uppercase());
                if !tested.contains(line.as_str()) && !NOWHERE.contains(&status.as_str()) {
                    missing.insert(line);
                }
            }
        }
    }
    let known: BTreeSet<String> = MISSING.into_iter().map(str::to_owned).collect();
    let news: Vec<_> = missing.difference(&known).collect();
    assert!(news.is_empty(), "listed, but not covered by a test: {news:#?}");
    let stale: Vec<_> = known.difference(&missing).collect();
    assert!(stale.is_empty(), "covered, but still listed as missing: {stale:#?}");
}
