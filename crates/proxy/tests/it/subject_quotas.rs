//! Quotas of clients without a user: the plan of an entry of `auth` limits the credits of its subjects.

use access::{Amount, BudgetId, BudgetScope, Credits, LimitPeriod, Measure, Subject, SubjectId};
use spool::Record;

use crate::gateway::Gateway;
use crate::raw::Raw;
use crate::tokens::{call, upstream};

fn yaml(raw: &Raw, credits_per_day: u64, credits_per_month: u64) -> String {
    format!(
        "rate_limits: []
plans:
  - {{name: small, credits_per_day: {credits_per_day}, budgets: [{{credits: {credits_per_month}, per: month}}]}}
  - {{name: open}}
auth:
  - {{name: shared, type: key, plan: small, keys: [{{name: acme, value: 0123456789abcdef}}, {{name: bolt, value: fedcba9876543210}}]}}
  - {{name: free, type: key, plan: open, keys: [{{name: acme, value: 0011223344556677}}]}}
upstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]
routes:
  - {{name: one, path: {{prefix: /one}}, auth: {{type: key, use: shared}}, upstreams: backend}}
  - {{name: rows, path: {{prefix: /rows}}, credits: 2, events: rows, auth: {{type: key, use: shared}}, upstreams: backend}}
  - {{name: zero, path: {{prefix: /zero}}, credits: 0, auth: {{type: key, use: shared}}, upstreams: backend}}
  - {{name: free, path: {{prefix: /free}}, events: rows, auth: {{type: key, use: free}}, upstreams: backend}}
",
        raw.address
    )
}

const ACME: &str = "x-api-key: 0123456789abcdef\r\n";
const BOLT: &str = "x-api-key: fedcba9876543210\r\n";
const FREE: &str = "x-api-key: 0011223344556677\r\n";

fn subject(entry: &str, name: &str) -> Subject {
    let name = access::SubjectName { kind: access::SubjectKind::Token, issuer: entry, name };
    name.subject().unwrap()
}

fn used(gateway: &Gateway, name: &str) -> Amount {
    let scope = BudgetScope::Subject(SubjectId::from_subject(&subject("shared", name)).unwrap());
    gateway.meter().used(BudgetId::credits_a_day(scope), gateway.clock().now().day())
}

#[tokio::test]
async fn each_subject_has_the_quota_of_its_plan_over_all_routes() {
    let raw = upstream().await;
    let mut gateway = Gateway::plain(&yaml(&raw, 5, 100));
    for (path, key, expected) in [
        ("/one", ACME, 200),
        ("/rows", ACME, 200),
        ("/rows", ACME, 200),
        ("/one", ACME, 429),
        ("/rows", ACME, 429),
        ("/zero", ACME, 200),
        ("/rows", BOLT, 200),
        ("/free", FREE, 200),
    ] {
        let (status, answer) = call(&gateway, path, key).await;
        assert_eq!(status, expected, "{path} {answer}");
        if expected == 429 {
            let answer = answer.to_ascii_lowercase();
            assert!(
                answer.contains("\"code\":\"quota_exceeded\"") && answer.contains("\r\nretry-after: 43200\r\n"),
                "{answer}"
            );
            for field in ["x-ratelimit-limit: 5", "x-ratelimit-remaining: 0", "x-ratelimit-reset: "] {
                assert!(answer.contains(&format!("\r\n{field}")), "{answer}");
            }
            assert!(answer.contains("the day's quota of 5 credits is used up (5 credits used)"), "{answer}");
        }
    }
    assert_eq!(
        (used(&gateway, "acme"), used(&gateway, "bolt")),
        (Measure::Credits.limit_of(5), Measure::Credits.limit_of(2))
    );
    // The records contain the used credits, also of requests that share a record.
    let mut events = Vec::new();
    let mut counts = Vec::new();
    let mut opened = 0;
    for record in gateway.stop().await {
        match record {
            Record::Close(event) | Record::Event(event) => events.push((event.subject, event.charge.credits)),
            Record::CloseBatch { counts: of, .. } | Record::Counts { counts: of, .. } => {
                counts.extend(of.into_iter().map(|of| (of.subject, of.credits)));
            }
            Record::Open(open) => opened += open.reserved.credits.rounded_down(),
        }
    }
    let acme = subject("shared", "acme");
    let bolt = subject("shared", "bolt");
    let charged = |subject: &Subject| {
        let all = events.iter().chain(&counts).filter(|(of, _)| of == subject);
        all.map(|(_, credits)| credits.rounded_down()).sum::<u64>()
    };
    assert_eq!((charged(&acme), charged(&bolt), charged(&subject("free", "acme"))), (5, 2, 0));
    assert!(opened >= 7, "credits of a quota are in the spool before their requests are sent");
    assert!(events.contains(&(acme, Credits::whole(2))));
}

#[tokio::test]
async fn a_budget_of_a_month_applies_beside_the_quota() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw, 100, 3));
    for expected in [200, 429] {
        assert_eq!(call(&gateway, "/rows", ACME).await.0, expected);
    }
    let (status, answer) = call(&gateway, "/rows", ACME).await;
    assert!(status == 429 && answer.contains("\"code\":\"budget_exceeded\""), "{answer}");
    assert_eq!(call(&gateway, "/one", ACME).await.0, 200, "the refused request has taken nothing");
}

#[tokio::test]
async fn a_changed_plan_applies_at_once_and_keeps_what_is_used() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw, 2, 100));
    for expected in [200, 200, 429] {
        assert_eq!(call(&gateway, "/one", ACME).await.0, expected);
    }
    gateway.reload(&yaml(&raw, 3, 100));
    for expected in [200, 429] {
        assert_eq!(call(&gateway, "/one", ACME).await.0, expected);
    }
    assert_eq!(used(&gateway, "acme"), Measure::Credits.limit_of(3));
}

#[tokio::test]
async fn a_request_that_is_not_sent_costs_nothing() {
    let raw = upstream().await;
    let closed = yaml(&raw, 100, 100).replace(&raw.address.to_string(), "127.0.0.1:1");
    let mut gateway = Gateway::plain(&closed);
    for path in ["/one", "/rows", "/rows"] {
        assert_eq!(call(&gateway, path, ACME).await.0, 502);
    }
    // The end of the worker closes the batch of the first request.
    gateway.stop().await;
    assert_eq!(used(&gateway, "acme"), Measure::Credits.limit_of(0));
}

#[tokio::test]
async fn a_subject_whose_usage_is_unknown_is_refused_and_others_are_not() {
    let raw = upstream().await;
    let (gateway, beginnings) = Gateway::with_subject_budgets(&yaml(&raw, 5, 100));
    drop(beginnings);
    for (path, key, expected) in [("/one", ACME, 503), ("/rows", ACME, 503), ("/zero", ACME, 200), ("/free", FREE, 200)]
    {
        let (status, answer) = call(&gateway, path, key).await;
        assert_eq!(status, expected, "{path} {answer}");
        assert!(status == 200 || answer.contains("\"code\":\"unavailable\""), "{answer}");
    }
    assert_eq!(raw.asked().len(), 2);
}

#[tokio::test]
async fn a_subject_is_begun_once_per_worker_with_the_budgets_of_its_plan() {
    let raw = upstream().await;
    let (gateway, mut beginnings) = Gateway::with_subject_budgets(&yaml(&raw, 5, 100));
    let calls = async {
        for expected in [200, 200, 429] {
            assert_eq!(call(&gateway, "/one", ACME).await.0, expected);
        }
    };
    let begin = async {
        let request = beginnings.recv().await.unwrap();
        assert_eq!(request.budgets.len(), 2);
        for budget in &request.budgets {
            // The store contains three credits.
            gateway.meter().begin(*budget, gateway.clock().now().day(), Measure::Credits.limit_of(3));
        }
        request.reply.send(Ok(())).unwrap();
    };
    tokio::join!(calls, begin);
    assert!(beginnings.try_recv().is_err());
    assert_eq!(used(&gateway, "acme"), Measure::Credits.limit_of(5));
}

#[tokio::test]
async fn a_subject_whose_counters_have_begun_needs_no_store() {
    let raw = upstream().await;
    let (gateway, beginnings) = Gateway::with_subject_budgets(&yaml(&raw, 5, 100));
    drop(beginnings);
    let scope = BudgetScope::Subject(SubjectId::from_subject(&subject("shared", "acme")).unwrap());
    for per in [LimitPeriod::Day, LimitPeriod::Month] {
        let budget = BudgetId { scope, measure: Measure::Credits, per };
        gateway.meter().begin(budget, gateway.clock().now().day(), Measure::Credits.limit_of(4));
    }
    for (key, expected) in [(ACME, 200), (ACME, 429), (BOLT, 503)] {
        assert_eq!(call(&gateway, "/one", key).await.0, expected);
    }
}

#[tokio::test]
async fn a_store_that_does_not_respond_delays_a_request_for_a_bounded_time() {
    let raw = upstream().await;
    let (gateway, _beginnings) = Gateway::with_subject_budgets(&yaml(&raw, 5, 100));
    let (status, answer) = call(&gateway, "/one", ACME).await;
    assert!(status == 503 && answer.contains("\"code\":\"unavailable\""), "{answer}");
}
