//! Routes with `auth: {type: basic}`: the passwords that they accept, and what upstreams receive.

use std::time::Duration;

use access::exchange::limits::{RateLimitRequest, RateLimitResult, SharedLimits};
use base64ct::{Base64, Encoding};
use spool::Record;
use tokio::sync::mpsc;

use crate::gateway::Gateway;
use crate::raw::Raw;
use crate::tokens::{call, upstream};
use crate::wire;

/// The hash of `open sesame`, with the lowest cost of Argon2id, and that of `swordfish`, with the lowest cost of bcrypt.
pub(crate) const ARGON2ID: &str = "$argon2id$v=19$m=8,t=1,p=1$YSBzYWx0IG9mIHRlc3RzIQ$vQs0X0mFnlBVh6mFAhs29A";
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuugIEnm3ZbWF6xb2GcoE3L1CoGJFMKtu.";

fn yaml(raw: &Raw, more: &str) -> String {
    format!(
        "rate_limits: []
plans: [{{name: small, requests_per_minute: 2}}]
auth:
  - {{name: ops, type: basic, users: [{{name: ada, hash: \"{ARGON2ID}\"}}, {{name: bob, hash: \"{BCRYPT}\"}}]{more}}}
  - {{name: other, type: basic, users: [{{name: bob, hash: \"{ARGON2ID}\"}}]}}
upstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]
routes:
  - {{name: ops, path: {{prefix: /ops}}, events: rows, auth: {{type: basic, use: ops}}, upstreams: backend}}
  - {{name: other, path: {{prefix: /other}}, auth: {{type: basic, use: other}}, upstreams: backend}}
",
        raw.address
    )
}

/// Returns the field of a credential.
pub(crate) fn authorization_line(name: &str, password: &str) -> String {
    format!("authorization: Basic {}\r\n", Base64::encode_string(format!("{name}:{password}").as_bytes()))
}

#[tokio::test]
async fn a_user_is_a_subject_and_the_upstream_gets_no_credential() {
    let reporting = wire::upstream(|sent| {
        let fields: Vec<String> = sent.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (wire::answer(&fields.join("|")), false)
    });
    let raw = reporting.await;
    let mut gateway = Gateway::plain(&yaml(&raw, ""));
    for (name, password) in [("ada", "open sesame"), ("bob", "swordfish"), ("ada", "open sesame")] {
        let fields = format!("{}x-other: 1\r\n", authorization_line(name, password));
        let (status, answer) = call(&gateway, "/ops", &fields).await;
        assert!(status == 200 && answer.to_ascii_lowercase().contains("x-other=1"), "{answer}");
        assert!(!answer.to_ascii_lowercase().contains("authorization"), "{answer}");
    }
    assert_eq!(gateway.verified(), 2, "a verified password is cached");
    let records = gateway.stop().await;
    let subjects: Vec<_> = records
        .iter()
        .filter_map(|record| {
            let Record::Event(event) = record else { return None };
            event.subject.name().map(|name| [name.kind.as_str(), name.issuer, name.name].join(" "))
        })
        .collect();
    assert_eq!(subjects, ["basic ops ada", "basic ops bob", "basic ops ada"]);
}

#[tokio::test]
async fn users_of_one_name_in_two_entries_are_two_subjects() {
    let raw = upstream().await;
    let limits = "rate_limits: [{dimension: user, limit: 1, window: 60s}]";
    let gateway = Gateway::plain(&yaml(&raw, "").replace("rate_limits: []", limits));
    let of_ops = authorization_line("bob", "swordfish");
    let of_other = authorization_line("bob", "open sesame");
    for (path, fields, expected) in
        [("/ops", &of_ops, 200), ("/other", &of_other, 200), ("/ops", &of_ops, 429), ("/other", &of_other, 429)]
    {
        assert_eq!(call(&gateway, path, fields).await.0, expected, "{path}");
    }
}

#[tokio::test]
async fn other_credentials_are_refused_with_the_challenge_of_rfc_7617() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw, ""));
    let challenge = "\r\nwww-authenticate: Basic realm=\"ops\", charset=\"UTF-8\"\r\n";
    for (fields, code) in [
        (String::new(), "unauthorized"),
        (format!("authorization: {}\r\n", gateway.caller().authorization()), "unauthorized"),
        (authorization_line("ada", "swordfish"), "password_invalid"),
        (authorization_line("bob", "open sesame"), "password_invalid"),
        (authorization_line("eve", "open sesame"), "password_invalid"),
        (authorization_line("", ""), "password_invalid"),
        (authorization_line("ada", "open\nsesame"), "password_invalid"),
        ("authorization: Basic ada\r\n".to_owned(), "password_invalid"),
    ] {
        let (status, answer) = call(&gateway, "/ops", &fields).await;
        assert_eq!(status, 401, "{answer}");
        assert!(answer.contains(&format!("\"code\":\"{code}\"")) && answer.contains(challenge), "{code} {answer}");
        assert!(!answer.contains("Bearer"), "{answer}");
    }
    let (status, answer) =
        call(&gateway, "/ops", &format!("{}{}", authorization_line("ada", "a"), authorization_line("ada", "b"))).await;
    assert!(status == 400 && answer.contains("ambiguous_credentials"), "{answer}");
    assert_eq!(raw.asked().len(), 0, "what is refused is not sent");
}

#[tokio::test]
async fn an_unknown_name_costs_a_verification_as_a_wrong_password_does() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw, ""));
    for (name, expected) in [("ada", 1), ("eve", 2), ("eve", 2), ("ada", 2)] {
        assert_eq!(call(&gateway, "/ops", &authorization_line(name, "wrong")).await.0, 401);
        assert_eq!(gateway.verified(), expected, "a refused password is cached briefly");
    }
    gateway.clock().advance(Duration::from_secs(10));
    assert_eq!(call(&gateway, "/ops", &authorization_line("eve", "wrong")).await.0, 401);
    assert_eq!(gateway.verified(), 3);
}

#[tokio::test]
async fn a_verified_password_ends_with_its_entry_its_time_and_its_configuration() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw, ""));
    let bob = authorization_line("bob", "swordfish");
    assert_eq!(call(&gateway, "/ops", &bob).await.0, 200);
    assert_eq!(call(&gateway, "/other", &bob).await.0, 401, "another entry has not verified it");
    assert_eq!((call(&gateway, "/ops", &bob).await.0, gateway.verified()), (200, 2));
    gateway.clock().advance(Duration::from_secs(300));
    assert_eq!((call(&gateway, "/ops", &bob).await.0, gateway.verified()), (200, 3));
    gateway.reload(&yaml(&raw, "").replace(BCRYPT, ARGON2ID));
    assert_eq!(call(&gateway, "/ops", &bob).await.0, 401);
}

#[tokio::test]
async fn the_plan_of_an_entry_limits_each_user() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw, ", plan: small"));
    let ada = authorization_line("ada", "open sesame");
    let bob = authorization_line("bob", "swordfish");
    for (fields, expected) in [(&ada, 200), (&ada, 200), (&ada, 429), (&bob, 200), (&bob, 200), (&bob, 429)] {
        assert_eq!(call(&gateway, "/ops", fields).await.0, expected);
    }
}

#[tokio::test]
async fn no_password_of_an_address_over_its_limit_is_verified() {
    let raw = upstream().await;
    let limit = "rate_limits: [{dimension: ip, limit: 2, window: 60s, without: key}]";
    let gateway = Gateway::plain(&yaml(&raw, "").replace("rate_limits: []", limit));
    for (number, expected) in [401, 401, 429, 429].into_iter().enumerate() {
        assert_eq!(call(&gateway, "/ops", &authorization_line("ada", &format!("wrong {number}"))).await.0, expected);
    }
    assert_eq!(gateway.verified(), 2);
}

#[tokio::test]
async fn a_right_password_is_not_called_wrong_over_the_limit() {
    let raw = upstream().await;
    let limit = "rate_limits: [{dimension: ip, limit: 2, window: 60s, without: key}]";
    let (queue, mut questions) = mpsc::channel::<RateLimitRequest>(1);
    let gateway = Gateway::sharing(&yaml(&raw, "").replace("rate_limits: []", limit), Some(SharedLimits::new(queue)));
    // The nodes together would still allow what this process does not.
    let mut shared = tokio::task::JoinSet::new();
    shared.spawn(async move {
        while let Some(question) = questions.recv().await {
            let reset = Duration::from_secs(60);
            let retry_after = Duration::ZERO;
            let result = RateLimitResult { allowed: true, check: 0, remaining: 1, reset, retry_after };
            let _ = question.reply.send(result);
        }
    });
    for password in ["wrong 1", "wrong 2"] {
        assert_eq!(call(&gateway, "/ops", &authorization_line("bob", password)).await.0, 401);
    }
    let (status, answer) = call(&gateway, "/ops", &authorization_line("bob", "swordfish")).await;
    assert!(status == 429 && answer.contains("\r\nretry-after: ") && answer.contains("rate_limited"), "{answer}");
    assert_eq!(gateway.verified(), 2);
}

#[tokio::test]
async fn a_reload_that_changes_no_user_keeps_verified_passwords() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw, ""));
    let bob = authorization_line("bob", "swordfish");
    assert_eq!(call(&gateway, "/ops", &bob).await.0, 200);
    gateway.reload(&yaml(&raw, ", plan: small"));
    assert_eq!((call(&gateway, "/ops", &bob).await.0, gateway.verified()), (200, 1));
}
