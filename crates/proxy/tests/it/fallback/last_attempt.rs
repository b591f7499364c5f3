//! The last attempt of a call, which is relayed as it arrives: whether it counts as served, and when its content began.

use super::*;

/// The response of a target that serves nothing, and the cause of its failure.
const FAILURES: [(Script, bool, &str); 6] = [
    (Script::Says(200, "content-type: text/html\r\n", "<html>a portal</html>"), true, "reset"),
    (Script::Says(200, JSON, "{\"error\":{\"message\":\"broken\"}}"), false, "status"),
    (Script::Says(200, JSON, ""), false, "reset"),
    (Script::Streams(ERROR_EVENT), true, "status"),
    (Script::Streams(ROLE), true, "reset"),
    (Script::Cuts(ROLE), true, "reset"),
];

/// Returns the number of attempts at the first target with this result.
fn counted(gateway: &Gateway, result: &str) -> u64 {
    let begin = format!("tollgate_target_attempts_total{{provider=\"p0\",model=\"m0\",result=\"{result}\"}} ");
    let metrics = gateway.metrics();
    metrics.lines().find_map(|line| line.strip_prefix(&begin)?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_last_attempt_without_content_has_failed_and_its_target_stays_left_out() {
    for (script, is_stream, result) in FAILURES {
        let only = provider(script).await;
        let rules =
            ", retry: {attempts: 1, backoff: 1ms, max_backoff: 5s}, cooldown: {failures: 1, time: 1s, max: 10m}";
        let gateway = before(&[&only], rules);
        let got = ask(&gateway, is_stream, "").await;
        assert_eq!((got.status, &*got.attempts, only.asked().len()), (200, "2", 2), "{script:?}: {got:?}");
        assert_eq!((counted(&gateway, "succeeded"), counted(&gateway, result)), (0, 2), "{script:?}");
        let cooled = "tollgate_target_cooled_down{provider=\"p0\",model=\"m0\"} 1";
        assert!(gateway.metrics().contains(cooled), "{script:?}: {}", gateway.metrics());
    }
}

#[tokio::test]
async fn a_last_attempt_with_content_has_succeeded() {
    for (script, is_stream) in [(Script::Serves, true), (Script::Serves, false), (Script::Cuts(TEXT), true)] {
        let only = provider(script).await;
        let gateway = before(&[&only, &only], ", retry: {attempts: 0}, sticky: off");
        assert_eq!(ask(&gateway, is_stream, "").await.status, 200, "{script:?}");
        assert_eq!(counted(&gateway, "succeeded"), 1, "{script:?}: {}", gateway.metrics());
    }
}

/// The costs of last attempts, in nano-USD. Without one, the reservation is charged.
const COSTS: [(Script, bool, Option<i64>); 6] = [
    (Script::Streams(ERROR_EVENT), true, Some(0)),
    (Script::Says(200, JSON, "{\"error\":{\"message\":\"broken\"}}"), false, Some(0)),
    (Script::Streams(USAGE_AND_ERROR), true, Some(30_000)),
    (Script::Streams(CONTENT_AND_ERROR), true, None),
    (Script::Streams(ROLE), true, None),
    (Script::Cuts(ROLE), true, None),
];
const USAGE_AND_ERROR: &str = "data: {\"id\":\"a\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":0}}\n\n\
    data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
const CONTENT_AND_ERROR: &str = "data: {\"id\":\"a\",\"choices\":[{\"delta\":{\"content\":\"first\"}}]}\n\n\
    data: {\"error\":{\"message\":\"overloaded\"}}\n\n";

#[tokio::test]
async fn an_error_before_content_costs_the_reported_usage_from_the_last_attempt_too() {
    for (script, is_stream, cost) in COSTS {
        let raws = [provider(Script::Says(500, JSON, "{}")).await, provider(script).await];
        let mut gateway = before(&[&raws[0], &raws[1]], ", retry: {attempts: 1}");
        with_money(&gateway, 10_000_000);
        let got = ask(&gateway, is_stream, "").await;
        assert_eq!((got.status, &*got.model, &*got.attempts), (200, "p1/m1", "2"), "{script:?}: {got:?}");
        let event = event(&gateway.stop().await).clone();
        assert_eq!(attempts(&event), [(Some(500), Some(0)), (Some(200), cost)], "{script:?}");
        match cost {
            Some(cost) => assert_eq!(event.charge.money, NanoUsd(cost), "{script:?}: the usage"),
            None => assert!(event.charge.money > NanoUsd(100_000), "{script:?}: the reservation: {event:?}"),
        }
    }
}

#[tokio::test]
async fn the_fastest_target_is_the_one_whose_content_begins_first() {
    // The first one sends its head at once, and its content late.
    let raws = [
        provider(Script::Late { head_ms: 0, content_ms: 400 }).await,
        provider(Script::Late { head_ms: 50, content_ms: 0 }).await,
    ];
    let gateway = before(&[&raws[0], &raws[1]], ", strategy: fastest, retry: {attempts: 0}, sticky: off");
    let mut models = Vec::new();
    for _ in 0..4 {
        models.push(ask(&gateway, true, "").await.model);
    }
    assert_eq!(models, ["p0/m0", "p1/m1", "p1/m1", "p1/m1"]);
}
