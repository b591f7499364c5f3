//! The log and `/metrics`, which contain no prompt, key or e-mail address.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::{Call, Gateway, Mock, Setup, Wire, commands, eventually, setup};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bodies::{CHAT, Format};

/// Returns the log lines of one request, by Tollgate's request id.
fn lines(gateway: &Gateway, id: &str) -> Vec<Value> {
    let log = gateway.stderr();
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["request_id"] == id)
        .collect()
}

#[tokio::test]
async fn each_request_is_logged_once_with_its_ids_and_nothing_private() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let account = gateway.account(setup::OPEN).await;
    let body = json!({"model": "mock/echo", "messages": [{"role": "user", "content": "a-secret-prompt"}]});
    let target = format!("{CHAT}?token=a-secret-query");
    let call = || {
        Call::json(&target, &body)
            .header("x-request-id", "their-id-1")
            .header("x-odd", "a-secret-header")
            .header("user-agent", "tests/1")
    };
    for (call, status, code) in [
        (call().key(&account.key), 200, Value::Null),
        (call().key("sk-a-secret-of-another"), 401, json!("key_malformed")),
    ] {
        let answer = gateway.call(call).await.expect(status);
        let id = answer.header("x-request-id").unwrap();
        let line = eventually("the request is logged", async || lines(&gateway, id).pop()).await;
        assert_eq!((&line["status"], &line["code"], &line["level"]), (&json!(status), &code, &json!("INFO")), "{line}");
        assert_eq!(
            (&line["correlation_id"], &line["path"], &line["method"]),
            (&json!("their-id-1"), &json!(CHAT), &json!("POST"))
        );
        assert!(line["duration_us"].is_u64() && line["route"].is_string(), "{line}");
        let (outcome, upstream, attempts) = match status {
            200 => ("completed", json!("mock"), json!(1)),
            _ => ("refused", Value::Null, Value::Null),
        };
        for (field, expected) in [
            ("client", json!("127.0.0.1")),
            ("protocol", json!("1.1")),
            ("host", json!(gateway.proxy.to_string())),
            ("user_agent", json!("tests/1")),
            ("outcome", json!(outcome)),
            ("upstream", upstream),
            ("attempts", attempts),
        ] {
            assert_eq!(line[field], expected, "{field} of {line}");
        }
        assert!(line["response_bytes"].as_u64() > Some(0), "{line}");
        assert_eq!(lines(&gateway, id).len(), 1);
    }
    let unkept = call().header("x-request-id", "two ids are none").key(&account.key);
    let id = gateway.call(unkept).await.header("x-request-id").unwrap().to_owned();
    eventually("the request is logged", async || lines(&gateway, &id).pop()).await;
    let log = gateway.stderr();
    assert!(!log.contains("a-secret") && !log.contains(&account.email) && !log.contains(&account.key), "{log}");
}

#[tokio::test]
async fn metrics_count_served_and_refused_requests_and_usage() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    for stream in [false, true] {
        gateway.call(Call::json(CHAT, &Format::Chat.body("mock/tokens-5", stream)).key(&key)).await.expect(200);
    }
    gateway.call(Call::json(CHAT, &Format::Chat.body("mock/500", false)).key(&key)).await.expect(500);
    gateway.call(Call::post(CHAT, "{").key(&key)).await.expect(400);
    gateway.call(Call::get("/nowhere/at/all")).await.expect(404);
    for expected_value in [
        "tollgate_requests_total{route=\"/v1/chat/completions\",method=\"POST\",status=\"200\",result=\"succeeded\"} 2",
        "tollgate_requests_total{route=\"/v1/chat/completions\",method=\"POST\",status=\"500\",result=\"failed\"} 1",
        "tollgate_requests_total{route=\"/v1/chat/completions\",method=\"POST\",status=\"400\",result=\"refused\"} 1",
        "tollgate_refusals_total{code=\"bad_request\"} 1",
        "tollgate_refusals_total{code=\"route_not_found\"} 1",
        "tollgate_tokens_total{provider=\"mock\",model=\"tokens-5\",class=\"output\"} 10",
        "tollgate_meter_settled_total 3",
        "tollgate_meter_dropped_total 0",
        "tollgate_meter_interrupted_total 0",
        "tollgate_meter_reserved_total 3",
        "tollgate_meter_in_flight{measure=\"credits\"} 0",
        "tollgate_meter_used_total{measure=\"credits\"} 3",
        "tollgate_meter_bounded_total 0",
        "tollgate_panics_total 0",
        "tollgate_spool_ingested_total 4",
    ] {
        eventually(expected_value, async || {
            gateway.metrics().await.lines().any(|line| line == expected_value).then_some(())
        })
        .await;
    }
    let metrics = gateway.metrics().await;
    assert!(!metrics.contains("nowhere"), "paths chosen by clients must not become labels");
    assert!(metrics.contains("tollgate_request_duration_seconds_bucket{") && metrics.ends_with("# EOF\n"));
}

/// Returns the value of a metric, by name with labels.
async fn figure(gateway: &Gateway, series: &str) -> f64 {
    let metrics = gateway.metrics().await;
    let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {series}: {metrics}"))
}

async fn shows(gateway: &Gateway, series: &str, expected_value: f64) {
    eventually(&format!("{series} {expected_value}"), async || {
        (figure(gateway, series).await == expected_value).then_some(())
    })
    .await;
}

#[tokio::test]
async fn reservations_bounds_and_interruptions_are_reported_in_requests_and_amounts() {
    const HELD: &str = "tollgate_meter_in_flight{measure=\"tokens\"}";
    let mock = Mock::start().await;
    let setup = || {
        Setup::provider("mock", mock.address())
            .plans("{name: small, budgets: [{tokens: 100000, per: day}]}")
            .section("lease", "{ttl: 20s, recall_wait: 10s}")
    };
    let gateway = Gateway::start(setup()).await;
    let key = gateway.account("small").await.key;
    let mut body = Format::Chat.body("up/hang", false);
    body["max_completion_tokens"] = 600.into();
    let call = Call::json(CHAT, &body).key(&key);
    // A client that disconnects before the provider reports usage.
    {
        let mut asking = std::pin::pin!(call.attempt(gateway.proxy));
        let hangs = eventually("the request is in flight", async || (figure(&gateway, HELD).await > 0.0).then_some(()));
        tokio::select! {
            _ = &mut asking => panic!("the upstream sends no response"),
            () = hangs => {}
        }
        let held = figure(&gateway, HELD).await;
        assert!((600.0..2_000.0).contains(&held), "{held}");
    }
    shows(&gateway, "tollgate_meter_settled_total", 1.0).await;
    let unsaid = figure(&gateway, "tollgate_meter_estimated_total{measure=\"tokens\"}").await;
    assert!((600.0..2_000.0).contains(&unsaid), "{unsaid}");
    for (series, expected_value) in [
        ("tollgate_meter_reserved_total", 1.0),
        ("tollgate_meter_bounded_total", 1.0),
        ("tollgate_meter_used_total{measure=\"tokens\"}", unsaid),
        ("tollgate_meter_interrupted_total", 0.0),
        (HELD, 0.0),
    ] {
        assert_eq!(figure(&gateway, series).await, expected_value, "{series}");
    }
    eventually("the ingest lag is reported", async || {
        (figure(&gateway, "tollgate_spool_ingest_lag_seconds").await > 0.0).then_some(())
    })
    .await;
    // The next start counts requests that a crash interrupted.
    let to = gateway.proxy;
    let hanging = call.clone();
    let mut hangs = JoinSet::new();
    hangs.spawn(async move { hanging.attempt(to).await.is_err() });
    eventually("the request is in flight", async || (mock.requests("hang").await == 2).then_some(())).await;
    let again = Gateway::start_in(gateway.crash().folder, setup()).await;
    assert_eq!(hangs.join_all().await, [true]);
    for (series, expected_value) in [
        ("tollgate_meter_interrupted_total", 1.0),
        ("tollgate_meter_cut_off_total{measure=\"tokens\"}", unsaid),
        ("tollgate_meter_cut_off_total{measure=\"credits\"}", 1.0),
        ("tollgate_meter_reserved_total", 0.0),
    ] {
        assert_eq!(figure(&again, series).await, expected_value, "{series}");
    }
}

/// Sends `times` requests on each of ten concurrent connections; all must return 200.
async fn call_often(to: SocketAddr, call: &Call, times: usize) {
    let mut callers = JoinSet::new();
    for _ in 0..10 {
        let call = call.clone();
        callers.spawn(async move {
            let mut wire = Wire::connect(to).await.unwrap();
            for _ in 0..times {
                let (answer, back) = call.over(wire, to).await.unwrap().reuse().await;
                answer.expect(200);
                wire = back;
            }
        });
    }
    callers.join_all().await;
}

/// A log reader may be slow or gone: lines are then dropped and counted, and no request waits.
#[tokio::test]
async fn an_unread_log_delays_no_request() {
    let (gateway, unread) = Gateway::start_unread(Setup::mocked()).await;
    let key = gateway.key().await;
    let call = Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(&key);
    call_often(gateway.proxy, &call, 250).await;
    // As many further lines as the server may buffer.
    call_often(gateway.proxy, &Call::get("/"), 1_000).await;
    assert_eq!(gateway.counted(&key, 2_500).await["credits"], 2_500);
    eventually("lost lines are counted", async || {
        (gateway.gauge("tollgate_log_lines_dropped_total").await > 0).then_some(())
    })
    .await;
    gateway.terminate();
    let ended = gateway.end_within(Duration::from_secs(20)).await;
    assert_eq!(ended.code, Some(0));
    drop(unread);
}

#[tokio::test]
async fn log_lines_have_the_ids_that_commands_list() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let account = gateway.account("open").await;
    let answer = gateway.call(Call::json(CHAT, &Format::Chat.body("mock", false)).key(&account.key)).await.expect(200);
    let request = answer.head.header("x-request-id").unwrap().to_owned();
    let line = eventually("the request is logged", async || {
        let lines = gateway.stderr();
        let mut lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["message"] == "request" && line["request_id"] == request)
    })
    .await;
    let users = crate::audit::must(gateway.folder(), &["users", "list"]).await;
    let user = users.lines().find(|line| line.contains(&account.email)).unwrap();
    assert_eq!(line["user"], user.split_whitespace().next().unwrap(), "{line}");
    let keys = commands::keys_list(gateway.folder(), &account.email).await;
    assert_eq!(line["key"], keys.split_whitespace().next().unwrap(), "{line}");
    assert_eq!(line["key_last4"], account.key[account.key.len() - 4..], "{line}");
}

#[tokio::test]
async fn labels_of_a_route_are_in_a_metric_and_in_its_log_lines() {
    let routes =
        "[{path: /a, auth: {type: none}, respond: {}, labels: {tier: gold, team: accounts}}, {path: /b, respond: {}}]";
    let gateway = Gateway::start(Setup::new().section("routes", routes)).await;
    let id = gateway.call(Call::get("/a")).await.expect(200).header("x-request-id").unwrap().to_owned();
    let line = eventually("the request is logged", async || lines(&gateway, &id).pop()).await;
    assert_eq!(line["labels"], json!("team=accounts,tier=gold"), "{line}");
    let metrics = gateway.metrics().await;
    let shown: Vec<&str> = metrics.lines().filter(|line| line.starts_with("tollgate_route_labels{")).collect();
    assert_eq!(shown, ["tollgate_route_labels{route=\"/a\",team=\"accounts\",tier=\"gold\"} 1"]);
}
