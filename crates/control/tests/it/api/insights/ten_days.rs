//! Eleven days that are worked out by hand, with their classes, brief and ROI. An event has 187 tokens, and its cost in tenths of a dollar.

use access::{ClientProgram, NanoUsd, Timestamp};
use meter::{RequestOrigin, SessionHash, ToolUse, UnknownCost, UsageEvent};
use serde_json::{Value, json};

use super::{admin, by_name, date, owned, time_at};
use crate::client::get;
use crate::world::{Holder, NOON, World, event};

/// A tenth of a dollar in nano-USD.
const TENTH: i64 = 100_000_000;
/// The tokens of an event.
const TOKENS: u64 = 187;

/// A day with what its responses must contain.
struct GoldenDay {
    name: &'static str,
    /// The batches in which its usage and that of other days arrives.
    batches: Vec<Vec<UsageEvent>>,
    /// The number of days before today.
    back: u32,
    requests: u64,
    /// The cost of the day, of the day before and of the same weekday, in tenths of a dollar.
    cost: [i64; 3],
    headline: &'static str,
    classes: &'static [(&'static str, u64)],
    /// The requests by code of their error.
    errors: &'static [(&'static str, u64)],
    unpriced: u64,
    /// The difference from the same weekday by volume, price and mix, in tenths of a dollar.
    parts: [i64; 3],
    /// The kinds of the recommendations.
    advice: &'static [&'static str],
    figures_version: u64,
}

impl GoldenDay {
    /// A day of chats at the same cost as on other days.
    fn new(name: &'static str, events: Vec<UsageEvent>, cost: [i64; 3], headline: &'static str) -> Self {
        let batches = vec![events];
        let requests = 0;
        let classes = &[][..];
        Self {
            name,
            batches,
            back: 0,
            requests,
            cost,
            headline,
            classes,
            errors: &[],
            unpriced: 0,
            parts: [0; 3],
            advice: &[],
            figures_version: 0,
        }
    }
}

/// Returns the event of a chat.
fn chat(of: &Holder, back: u64, seconds: u64, tenths: i64) -> UsageEvent {
    event(of.caller, time_at(back, seconds), Some(NanoUsd(tenths * TENTH)))
}

fn agent(of: &Holder, seconds: u64) -> UsageEvent {
    let client = ClientProgram::ClaudeCode;
    let tools = ToolUse::Called;
    let origin = RequestOrigin { client, tools, session: Some(SessionHash([7; 16])), ..RequestOrigin::default() };
    UsageEvent { origin, ..chat(of, 0, seconds, 20) }
}

fn unpriced(of: &Holder, seconds: u64) -> UsageEvent {
    let mut event = event(of.caller, time_at(0, seconds), None);
    event.attempts.iter_mut().for_each(|attempt| attempt.unknown = Some(UnknownCost::NoPrice));
    event
}

/// Quiet, launch, price change, runaway agent and outage.
fn busy(of: &Holder) -> [GoldenDay; 5] {
    let chats = |back, count: u64, tenths| (1..=count).map(move |nth| chat(of, back, nth, tenths));
    let quiet: Vec<_> = chats(7, 2, 10).chain(chats(1, 3, 10)).chain(chats(0, 2, 10)).collect();
    let launch = chats(7, 1, 10).chain(chats(0, 5, 10)).collect();
    let dearer = chats(7, 2, 10).chain(chats(0, 2, 15)).collect();
    let runaway = chats(7, 1, 10).chain((1..=5).map(|nth| agent(of, nth))).chain([chat(of, 0, 9, 10)]).collect();
    let failed = |nth| UsageEvent { status: 502, ..chat(of, 0, nth, 1) };
    let outage = chats(7, 1, 10).chain((1..=3).map(failed)).chain([chat(of, 0, 9, 7)]).collect();
    [
        GoldenDay {
            requests: 2,
            classes: &[("chat", 2)],
            ..GoldenDay::new(
                "quiet",
                quiet,
                [20, 30, 20],
                "2.00 USD, as much as on the same weekday; 2 of 2 requests are chat",
            )
        },
        GoldenDay {
            requests: 5,
            classes: &[("chat", 5)],
            parts: [40, 0, 0],
            ..GoldenDay::new(
                "launch",
                launch,
                [50, 0, 10],
                "5.00 USD, 4.00 USD more than on the same weekday; 5 of 5 requests are chat",
            )
        },
        GoldenDay {
            requests: 2,
            classes: &[("chat", 2)],
            parts: [0, 10, 0],
            ..GoldenDay::new(
                "price change",
                dearer,
                [30, 0, 20],
                "3.00 USD, 1.00 USD more than on the same weekday; 2 of 2 requests are chat",
            )
        },
        // Six times the tokens would cost 6 USD at the earlier cost per token.
        GoldenDay {
            requests: 6,
            classes: &[("agent_session", 5), ("chat", 1)],
            parts: [50, 50, 0],
            ..GoldenDay::new(
                "runaway agent",
                runaway,
                [110, 0, 10],
                "11.00 USD, 10.00 USD more than on the same weekday; 5 of 6 requests are agent_session",
            )
        },
        // Four times the tokens would cost 4 USD.
        GoldenDay {
            requests: 4,
            classes: &[("chat", 4)],
            errors: &[("status_502", 3)],
            parts: [30, -30, 0],
            advice: &["failed_requests"],
            ..GoldenDay::new(
                "outage",
                outage,
                [10, 0, 10],
                "1.00 USD, as much as on the same weekday; 4 of 4 requests are chat",
            )
        },
    ]
}

/// First, empty, midnight, late events and unpriced models.
fn unusual(of: &Holder) -> [GoldenDay; 5] {
    let midnight = NOON.day().start();
    let last = event(of.caller, Timestamp(midnight.0 - 1), Some(NanoUsd(7 * TENTH)));
    let first = event(of.caller, midnight, Some(NanoUsd(3 * TENTH)));
    let mixed = vec![unpriced(of, 1), unpriced(of, 2), chat(of, 0, 3, 10)];
    let one = |name, events, cost, parts, headline| GoldenDay {
        requests: 1,
        classes: &[("chat", 1)],
        parts,
        ..GoldenDay::new(name, events, cost, headline)
    };
    [
        one(
            "first",
            vec![chat(of, 0, 1, 10)],
            [10, 0, 0],
            [10, 0, 0],
            "1.00 USD, 1.00 USD more than on the same weekday; 1 of 1 requests are chat",
        ),
        GoldenDay {
            parts: [-10, 0, 0],
            ..GoldenDay::new(
                "empty",
                vec![chat(of, 7, 1, 10)],
                [0, 0, 10],
                "0.00 USD, 1.00 USD less than on the same weekday; there were no requests",
            )
        },
        one(
            "midnight",
            vec![last, first],
            [3, 7, 0],
            [3, 0, 0],
            "0.30 USD, 0.30 USD more than on the same weekday; 1 of 1 requests are chat",
        ),
        GoldenDay {
            batches: vec![vec![chat(of, 1, 1, 10)], vec![chat(of, 1, 2, 5)]],
            back: 1,
            requests: 2,
            classes: &[("chat", 2)],
            parts: [15, 0, 0],
            figures_version: 2,
            ..GoldenDay::new(
                "late events",
                Vec::new(),
                [15, 0, 0],
                "1.50 USD, 1.50 USD more than on the same weekday; 2 of 2 requests are chat",
            )
        },
        GoldenDay {
            requests: 3,
            classes: &[("chat", 3)],
            unpriced: 2,
            parts: [10, 0, 0],
            advice: &["missing_prices"],
            ..GoldenDay::new(
                "unpriced models",
                mixed,
                [10, 0, 0],
                "1.00 USD, 1.00 USD more than on the same weekday; 3 of 3 requests are chat",
            )
        },
    ]
}

/// A batch of one key: requests of a session, streamed ones, and those of another key do not belong to it.
fn batch(of: &Holder, other: &Holder) -> GoldenDay {
    let origin = RequestOrigin { session: Some(SessionHash([7; 16])), ..RequestOrigin::default() };
    let in_session = UsageEvent { origin, ..chat(of, 0, 1_001, 10) };
    let streamed = UsageEvent { streamed: true, ..chat(of, 0, 1_002, 10) };
    let of_batch = (1..=1_000).map(|nth| chat(of, 0, nth, 1));
    let others = (1..=2).map(|nth| chat(other, 0, nth, 10));
    // 1,000 requests at 0.10 USD and 4 at 1.00 USD. 1,004 times the tokens would cost 1,004 USD at the earlier cost per token.
    GoldenDay {
        requests: 1_004,
        classes: &[("batch", 1_000), ("chat", 4)],
        parts: [10_030, -9_000, 0],
        ..GoldenDay::new(
            "batch",
            of_batch.chain([in_session, streamed, chat(of, 7, 1, 10)]).chain(others).collect(),
            [1_040, 0, 10],
            "104.00 USD, 103.00 USD more than on the same weekday; 1000 of 1004 requests are batch",
        )
    }
}

/// Each class names three different requests of the day, or all of fewer.
fn names_three_requests(classification: &Value, today: &[&UsageEvent], name: &str) {
    for class in classification["classes"].as_array().unwrap() {
        let mut ids: Vec<&str> =
            class["request_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        let expected = class["requests"].as_u64().unwrap().min(3);
        assert_eq!(u64::try_from(ids.len()).unwrap(), expected, "{name}: {class}");
        assert!(ids.iter().all(|id| today.iter().any(|event| event.id.0.to_string() == *id)), "{name}: {class}");
    }
}

/// Compares the responses of a server that has the usage of one golden day.
async fn check(at_nth: usize) {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "endless").await;
    let golden = busy(&ada).into_iter().chain(unusual(&ada)).chain([batch(&ada, &bob)]).nth(at_nth).unwrap();
    let GoldenDay { name, batches, back, requests, cost, headline, .. } = golden;
    let today: Vec<&UsageEvent> = batches.iter().flatten().filter(|event| event.day == NOON.day()).collect();
    let used_today = today.len();
    let spent = if back == 0 { cost[0] } else { 0 };
    for batch in &batches {
        world.record(batch.clone()).await;
    }
    let root = admin(&world).await;
    let see = async |path: &str| get(world.address, path, &[&root]).await.json();
    let money = |tenths: i64| json!({"amount_nano": tenths * TENTH, "currency": "USD"});

    let brief = see(&format!("/brief/{}", date(back))).await;
    let spend = &brief["spend"];
    assert_eq!((&spend["requests"], &spend["tokens"]), (&json!(requests), &json!(requests * TOKENS)), "{name}");
    let costs = [&spend["cost"], &spend["yesterday"], &spend["same_weekday"]];
    assert_eq!(costs.map(Clone::clone), cost.map(money), "{name}");
    assert_eq!(brief["headline"], format!("all users spent {headline}"), "{name}");
    assert_eq!(brief["errors"]["requests"], golden.errors.iter().map(|(_, requests)| requests).sum::<u64>(), "{name}");
    assert_eq!(by_name(&brief["errors"]["by_code"], "code"), owned(golden.errors), "{name}");
    assert_eq!(
        (&spend["unpriced_requests"], &brief["figures_version"]),
        (&json!(golden.unpriced), &json!(golden.figures_version)),
        "{name}"
    );
    let advice: Vec<_> = brief["recommendations"].as_array().unwrap().iter().map(|of| of["kind"].clone()).collect();
    assert_eq!(json!(advice), json!(golden.advice), "{name}");
    let movers = brief["movers"].as_array().unwrap();
    let sum = |part: &str| movers.iter().map(|mover| mover[part].as_i64().unwrap()).sum::<i64>();
    assert_eq!(["volume", "price", "mix"].map(sum), golden.parts.map(|part| part * TENTH), "{name}: {movers:?}");
    assert_eq!(sum("difference"), (cost[0] - cost[2]) * TENTH, "{name}");
    // No golden day has the 14 days that anomalies need, and the brief says so.
    assert_eq!(brief["anomalies"], json!([]), "{name}");
    assert!(brief["anomalies_reason"].as_str().unwrap().ends_with("at least 14 are needed"), "{name}");
    assert_eq!(by_name(&brief["classes"], "class"), owned(golden.classes), "{name}");

    let classes = see("/classify/today").await;
    let roi = see("/roi/today").await;
    if back == 0 {
        names_three_requests(&classes, &today, name);
        assert_eq!(by_name(&classes["classes"], "class"), owned(golden.classes), "{name}");
        assert_eq!(
            (&classes["cost"], &classes["unpriced_requests"]),
            (&money(cost[0]), &json!(golden.unpriced)),
            "{name}"
        );
    }
    assert_eq!((&roi["spent"], &roi["saved"], &roi["total_saved"]), (&money(spent), &json!([]), &money(0)), "{name}");
    // The price of the cached tokens is not configured in this test.
    let mut not_counted = vec![("refused_overspend".to_owned(), 0), ("response_cache".to_owned(), 0)];
    if used_today > 0 {
        not_counted.push(("prompt_cache".to_owned(), u64::try_from(used_today).unwrap()));
    }
    assert_eq!(by_name(&roi["not_counted"], "kind"), not_counted, "{name}");
    assert_ne!(roi["costs"], Value::Null, "{name}");
}

#[tokio::test]
async fn five_busy_days_have_the_figures_that_were_worked_out() {
    for nth in 0..5 {
        check(nth).await;
    }
}

#[tokio::test]
async fn a_day_with_a_batch_has_the_figures_that_were_worked_out() {
    check(10).await;
}

#[tokio::test]
async fn five_unusual_days_have_the_figures_that_were_worked_out() {
    for nth in 5..10 {
        check(nth).await;
    }
}
