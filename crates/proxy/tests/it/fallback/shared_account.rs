//! Errors of a provider about the operator's account, and calls with the user's own credential while it is refused.

use super::*;

const CALL: &str = "{\"model\":\"smart\",\"max_tokens\":9,\"messages\":[]}";
/// Each target is called once.
const ONCE: &str = ", retry: {attempts: 1, max_backoff: 1s}";
const FIELDS: &str = "content-type: application/json\r\nretry-after: 60\r\n";

/// Calls once. Returns the status, `Retry-After` and the body.
async fn call(gateway: &Gateway) -> (u16, Option<String>, String) {
    let response = timeout(PATIENCE, gateway.post("/v1/chat/completions", CALL)).await.expect("a response in time");
    let after = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = timeout(PATIENCE, response.into_body().collect()).await.expect("a body in time").unwrap();
    (status, after, String::from_utf8(body.to_bytes().to_vec()).unwrap())
}

/// Errors about the account of a credential, and the status and a part of the body that a client without one gets.
const OF_THE_ACCOUNT: [(u16, &str, u16, &str); 6] = [
    (
        429,
        "{\"error\":{\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\",\"message\":\"check your plan in org-far\"}}",
        502,
        "upstream_protocol",
    ),
    (402, "{\"error\":{\"message\":\"org-far has no credits\"}}", 502, "upstream_protocol"),
    (
        400,
        "{\"error\":{\"code\":400,\"message\":\"org-far: API key not valid\",\"details\":[{\"reason\":\"API_KEY_INVALID\"}]}}",
        502,
        "upstream_protocol",
    ),
    (403, "{\"error\":{\"message\":\"project org-far is not active\"}}", 502, "upstream_protocol"),
    (
        429,
        "{\"error\":{\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\",\"message\":\"Rate limit in org-far: Limit 9\"}}",
        429,
        "\"code\":\"rate_limit_exceeded\"",
    ),
    (
        429,
        "{\"error\":{\"type\":\"tokens\",\"message\":\"Request too large for m in org-far: Limit 9, Requested 10\"}}",
        429,
        "shorten the call",
    ),
];

#[tokio::test]
async fn errors_about_the_operators_account_are_not_shown_as_those_of_the_client() {
    for rules in ["", ONCE] {
        for (status, error, expected, part) in OF_THE_ACCOUNT {
            let only = provider(Script::Says(status, FIELDS, error)).await;
            let mut gateway = before(&[&only], rules);
            let (got, after, body) = call(&gateway).await;
            assert!(got == expected && body.contains(part), "{rules} {status} {error}: {got} {body}");
            assert!(!body.contains("org-far"), "{rules} {status}: {body}");
            assert_eq!(after.as_deref(), (expected == 429).then_some("60"), "{rules} {status}");
            assert_eq!(attempts(event(&gateway.stop().await)), [(Some(status), Some(0))], "{rules} {status}");
            let gateway = before(&[&only], rules);
            with_credential(&gateway);
            assert_eq!(
                call(&gateway).await,
                (status, Some("60".to_owned()), error.to_owned()),
                "{rules}: it is its own"
            );
        }
    }
}

#[tokio::test]
async fn failures_of_a_users_own_account_are_not_counted_as_those_of_the_target() {
    let only = provider(Script::Says(429, FIELDS, "{}")).await;
    let gateway = before(&[&only], ONCE);
    with_credential(&gateway);
    assert_eq!(call(&gateway).await.0, 429);
    let is_counted = || {
        let counted = "tollgate_target_attempts_total{provider=\"p0\",model=\"m0\",result=\"status\"} ";
        gateway.metrics().lines().any(|line| line.strip_prefix(counted).is_some_and(|count| count != "0"))
    };
    assert!(!is_counted(), "{}", gateway.metrics());
    gateway.change(|principal| principal.provider_keys.own = [].into());
    assert_eq!(call(&gateway).await.0, 429);
    assert!(is_counted(), "{}", gateway.metrics());
}

#[tokio::test]
async fn errors_of_a_request_reach_its_client_whole() {
    let long = format!("{{\"error\":{{\"message\":\"{}\"}}}}", "wrong ".repeat(30_000));
    let file = "{\"error\":{\"message\":\"You do not have permission to access the File abc\"}}".to_owned();
    for rules in ["", ONCE] {
        for (status, error) in [(400, &long), (403, &file)] {
            let said = error.clone();
            let only = Raw::start(move |mut conn: Conn| {
                let head = format!("HTTP/1.1 {status} X\r\n{JSON}content-length: {}\r\n\r\n", said.len());
                let said = said.clone();
                async move {
                    while conn.body().await.is_some() {
                        conn.say(format!("{head}{said}")).await;
                    }
                }
            })
            .await;
            let gateway = before(&[&only], rules);
            let (got, _, body) = call(&gateway).await;
            assert!(got == status && body == *error, "{rules} {status}: {got} {} bytes", body.len());
        }
    }
}

#[tokio::test]
async fn a_call_with_an_own_credential_is_sent_while_the_operators_account_is_left_out() {
    let only = provider(Script::Recovers { first: (429, FIELDS), second: 400 }).await;
    let gateway = before(&[&only], ONCE);
    assert_eq!(call(&gateway).await.0, 429);
    let refused = call(&gateway).await;
    assert!(refused.0 == 503 && refused.2.contains("no_healthy_upstream"), "{refused:?}");
    with_credential(&gateway);
    assert_eq!([call(&gateway).await.0, call(&gateway).await.0], [400, 200]);
    gateway.change(|principal| principal.provider_keys.own = [].into());
    assert_eq!(call(&gateway).await.0, 503, "the own account says nothing about the operator's");
    assert_eq!(only.asked().len(), 3);
}
