//! Access tokens of an issuer that is away at first, returns garbage, serves its keys, and disappears again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::{Answer, Call, Gateway, Setup, Turn, Upstream, eventually_within};

/// A failed fetch is repeated after 1, 2, 4, 8 and 16 seconds.
const FETCHED_WITHIN: Duration = Duration::from_secs(60);
/// Signed with the key of [`DOCUMENT`]: the subject `ada`, and an end in the year 2100.
const TOKEN: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6Im9uZSJ9.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4MDB9.2HTtYiSwkAKcKyOa_HLpaYDS4YOS1BuFL04nz2PVMfwFPpd3ok0JOBUVx1vLBZUMg5SAH3_w-AZLFfBHCPZJAQ";
/// The key set of the issuer (RFC 8037, A.2).
const DOCUMENT: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"one"}]}"#;

/// Starts an issuer that sends the current text as its document; without one, it closes the connection.
async fn issuer() -> (Upstream, Arc<Mutex<Option<&'static str>>>) {
    let document = Arc::new(Mutex::new(None::<&str>));
    let shared = document.clone();
    let upstream = Upstream::start(move |mut turn: Turn| {
        let document: Option<&str> = *shared.lock().unwrap();
        async move {
            turn.answer("200 OK", document?.as_bytes()).await;
            Some(turn)
        }
    });
    (upstream.await, document)
}

async fn call(gateway: &Gateway, path: &str) -> Answer {
    gateway.call(Call::get(path).header("authorization", &format!("Bearer {TOKEN}"))).await
}

#[tokio::test]
async fn tokens_are_judged_once_the_issuer_has_served_its_keys() {
    let (issuer, document) = issuer().await;
    let auth = format!("[{{name: a, type: jwt, algorithms: [EdDSA], jwks: \"http://{}/keys\"}}]", issuer.address());
    let routes =
        "[{path: /a, auth: {type: jwt}, respond: {body: fine}}, {path: /b, auth: {type: none}, respond: {body: fine}}]";
    let gateway = Gateway::start(Setup::new().section("auth", &auth).section("routes", routes)).await;
    let failed = async |times: usize| {
        let seen = async || (issuer.seen().len() >= times).then_some(());
        eventually_within(FETCHED_WITHIN, "the keys were requested again", seen).await;
    };
    failed(1).await;
    let answer = call(&gateway, "/a").await.expect(503);
    assert_eq!(answer.json()["error"]["code"], "issuer_unavailable");
    call(&gateway, "/b").await.expect(200);
    *document.lock().unwrap() = Some("<html>");
    failed(issuer.seen().len() + 1).await;
    call(&gateway, "/a").await.expect(503);
    *document.lock().unwrap() = Some(DOCUMENT);
    let served = async || (call(&gateway, "/a").await.status() == 200).then_some(());
    eventually_within(FETCHED_WITHIN, "the keys are in use", served).await;
    drop(issuer);
    call(&gateway, "/a").await.expect(200);
    let count = |message: &str| gateway.stderr().lines().filter(|line| line.contains(message)).count();
    let logged = async || (count("keys of an issuer were fetched") == 1).then_some(());
    eventually_within(FETCHED_WITHIN, "the line of the fetched keys is written", logged).await;
    assert_eq!(count("keys of an issuer cannot be fetched; retrying"), 1, "{}", gateway.stderr());
}
