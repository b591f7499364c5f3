//! Vertex AI behind the binary: the key of a service account in a file and in the vault, faults of the endpoint for tokens, and
//! the cost of a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64ct::{Base64, Encoding};
use e2e::Upstream;

use super::*;

/// The access tokens of the operator's account and of users.
const TOKEN: &str = "ya29.t0ken";
const GENERATED: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"a"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":100,"candidatesTokenCount":20,"totalTokenCount":120}}"#;

/// Starts Vertex AI. Its endpoint for tokens refuses the first `faults` assertions.
async fn vertex(faults: usize) -> Upstream {
    let left = Arc::new(AtomicUsize::new(faults));
    Upstream::start(move |mut turn| {
        let left = left.clone();
        async move {
            turn.read_body().await;
            let granted = format!("{{\"access_token\":\"{TOKEN}\",\"expires_in\":3599}}");
            let is_fault = || left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            let is_exchange = turn.head.first.starts_with("POST /token ");
            let (status, body) = if is_exchange && is_fault() {
                ("503 Service Unavailable", "busy")
            } else {
                ("200 OK", if is_exchange { granted.as_str() } else { GENERATED })
            };
            turn.answer(&format!("{status}\r\ncontent-type: application/json"), body.as_bytes()).await;
            Some(turn)
        }
    })
    .await
}

/// Returns the file of a service account with a new key, for the endpoint for tokens of `vertex`.
fn account(vertex: &Upstream, email: &str) -> String {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let base64 = Base64::encode_string(&pair.serialize_der());
    let key = format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n");
    let uri = format!("http://{}/token", vertex.address());
    let file = json!({"type": "service_account", "client_email": email, "private_key": key, "token_uri": uri});
    serde_json::to_string_pretty(&file).unwrap()
}

/// Returns the numbers of received exchanges and calls.
fn counts(vertex: &Upstream) -> (usize, usize) {
    let seen = vertex.seen();
    let exchanges = seen.iter().filter(|request| request.head.first.starts_with("POST /token ")).count();
    (exchanges, seen.len() - exchanges)
}

#[tokio::test]
async fn a_service_account_of_a_file_or_a_user_calls_vertex_and_is_not_shown() {
    let vertex = vertex(1).await;
    let folder = Folder::new();
    let file = folder.write("sa.json", &account(&vertex, "operator@p.iam.gserviceaccount.com"));
    let providers = format!(
        "[{{name: gcp, kind: vertex, project: p, base_url: \"http://{}\", credential: \"file:{}\"}}]",
        vertex.address(),
        file.display()
    );
    let models =
        "[{name: flash, targets: [{provider: gcp, model: gemini-2.5-flash, price_as: gemini/gemini-2.5-flash}]}]";
    let setup =
        Setup::new().section("providers", &providers).section("models", models).section("control", "{rate_limits: []}");
    let gateway = Gateway::start_in(folder, setup).await;
    let key = gateway.key().await;
    let call = || Call::json(CHAT, &Format::Chat.body("flash", false)).key(&key);
    let unreachable = gateway.call(call()).await;
    assert!(unreachable.status() == 502 && unreachable.text().contains("tell the operator"), "{}", unreachable.text());
    assert_eq!(counts(&vertex), (1, 0));
    let recovers = async || (gateway.call(call()).await.status() == 200).then_some(());
    eventually("the next exchange succeeds", recovers).await;
    gateway.call(call()).await.expect(200);
    assert_eq!(counts(&vertex), (2, 2), "one token serves all calls");
    let sent = vertex.seen().pop().unwrap().head;
    assert!(sent.first.starts_with("POST /v1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:"));
    let bearer = format!("Bearer {TOKEN}");
    assert!(sent.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("authorization") && *value == bearer));
    let usage = gateway.counted(&key, 2).await;
    // Gemini's price of 2.5 Flash: 0.30 USD and 2.50 USD per million tokens.
    assert_eq!(usage["cost"]["amount_nano"], 2 * (100 * 300 + 20 * 2_500), "{usage}");

    let elsewhere = account(&vertex, "user@q.iam.gserviceaccount.com").replace("/token", "/other");
    for secret in [elsewhere.as_str(), "sk-0123456789", "{\"type\":\"authorized_user\"}"] {
        gateway.ask(Call::json(KEYS, &own("gcp", "own", secret)).key(&key)).await.expect(422);
    }
    let secret = account(&vertex, "user@q.iam.gserviceaccount.com");
    let id = put(&gateway, &key, &own("gcp", "own", &secret)).await;
    let tested = gateway.ask(Call::new("POST", &format!("{KEYS}/{id}/test")).key(&key)).await.expect(200).json();
    assert_eq!((&tested["ok"], &tested["status"]), (&json!(true), &json!(200)), "{tested}");
    let (exchanges, _) = counts(&vertex);
    let uses_own = async || {
        gateway.call(call()).await.expect(200);
        (counts(&vertex).0 == exchanges + 1).then_some(())
    };
    eventually("the own account gets its own token", uses_own).await;

    let root = admin(&gateway).await;
    let mut shared = own("gcp", "all", &elsewhere);
    shared["shared"] = json!(true);
    gateway.ask(Call::json(KEYS, &shared).key(&root)).await.expect(422);
    let config = gateway.ask(Call::get("/api/config").key(&root)).await.expect(200).text();
    let explained = json!({"method": "POST", "url": "http://localhost/v1/messages", "model": "flash"});
    let explained = gateway.ask(Call::json("/api/explain", &explained).key(&root)).await.expect(200);
    assert_eq!(explained.json()["action"]["targets"][0]["translated"], "generate_content", "{}", explained.text());
    let providers = gateway.ask(Call::get("/api/providers").key(&root)).await.expect(200).text();
    for text in [config, explained.text(), providers, gateway.stderr(), gateway.metrics().await] {
        assert!(!text.contains("PRIVATE") && !text.contains("ya29") && !text.contains("@p.iam"), "{text}");
    }
}
