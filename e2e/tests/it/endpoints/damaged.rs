//! Damaged responses: they are forwarded unchanged, and their usage is accepted as far as it is plausible.

use std::rc::Rc;

use serde_json::{Value, json};

use super::asks::{Ask, EndpointServer, each};
use super::passing::as_requested;
use crate::store;

const ASKS: [&str; 8] =
    ["embeddings", "images", "speech-events", "transcriptions", "gemini", "gemini-events", "gemini-array", "embed"];

/// Model names that make the mock damage its responses; `tollgate mock --help` describes them.
const DAMAGES: [&str; 18] = [
    "broken-json",
    "deep",
    "duplicate-keys",
    "invalid-utf8",
    "usage-backwards",
    "usage-negative",
    "usage-huge",
    "usage-nan",
    "usage-text",
    "usage-fraction",
    "html",
    "empty",
    "crlf",
    "joined",
    "bytewise",
    "open-event",
    "unfinished",
    "headers-50",
];

#[tokio::test]
async fn damaged_responses_pass_unchanged_and_are_counted_once() {
    let line = Rc::new(EndpointServer::new().await);
    let key = line.gateway.key().await;
    let cases = ASKS.iter().flat_map(|name| DAMAGES.map(|damage| (Ask::named(name), damage)));
    let checked = each(cases, |(ask, damage)| {
        let line = Rc::clone(&line);
        let key = key.clone();
        Box::pin(async move { check(&ask, damage, &line, &key).await })
    });
    checked.await;
    let all = ASKS.len() * DAMAGES.len();
    let usage = line.gateway.counted(&key, all as u64).await;
    assert_eq!(usage["credits"], all, "{usage}");
    assert!(usage["cost"]["amount_nano"].as_i64() > Some(0), "{usage}");
}

async fn check(ask: &Ask, damage: &str, line: &EndpointServer, key: &str) {
    let what = format!("{} {damage}", ask.name);
    let answer = line.send(ask, damage, key).await.expect(200);
    let own = ask.call(damage).send(line.mock.address()).await.expect(200);
    let expected = as_requested(&own.body, damage);
    if (ask.name, damage) == ("gemini-array", "broken-json") {
        // An incomplete element is withheld, and the error replaces it.
        let reported = answer.json();
        let reasons: Vec<_> =
            reported.as_array().unwrap().iter().map(|one| &one["error"]["details"][0]["reason"]).collect();
        assert_eq!(reasons, ["upstream_reset"], "{what}: {reported}");
    } else {
        assert!(answer.body.starts_with(&expected), "{what}: {} {}", answer.text(), own.text());
    }
    assert_eq!(answer.header("content-type"), own.header("content-type"), "{what}");
    let row = store::row(line.gateway.folder(), &answer).await;
    let outcome = row["outcome"].as_str().unwrap();
    let cost = &row["cost_nano"];
    if answer.body.len() > expected.len() {
        assert_eq!(outcome, "upstream_cut", "{what}: an error was added to a complete response: {}", answer.text());
    }
    let columns = row.as_object().unwrap().values();
    assert!(columns.filter_map(Value::as_i64).all(|number| number >= 0), "{what} {row}");
    // An image costs 0.03 USD and audio less: no implausible usage may cost anything near one USD.
    assert!(cost.is_null() || cost.as_i64() < Some(1_000_000_000), "{what} {row}");
    assert_eq!(row["credits"], json!(1), "{what} {row}");
    let is_odd = matches!(damage, "usage-negative" | "usage-huge" | "usage-nan" | "usage-text" | "usage-fraction");
    if is_odd || damage == "duplicate-keys" {
        let tokens = ["input", "cached_input", "output", "reasoning", "audio_output", "image_output"];
        assert!(tokens.iter().all(|class| row[class].is_null()), "{what}: implausible numbers are not stored: {row}");
        assert!(cost.is_null() || !row["billed_unit"].is_null(), "{what} {row}");
    }
}
