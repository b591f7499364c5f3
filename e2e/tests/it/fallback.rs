//! Models with two targets, whose first one fails: what clients, the list of requests and the audit get.

use e2e::{Call, Gateway, Mock, Setup, eventually, setup};
use serde_json::{Value, json};

use crate::bodies::Format;
use crate::reconcile;

/// Models of the mock that fail before any content, with the status that is recorded for the attempt.
const FAULTS: [(&str, Option<u16>); 8] = [
    ("429", Some(429)),
    ("500", Some(500)),
    ("503", Some(503)),
    ("529", Some(529)),
    ("quota", Some(429)),
    ("retry-after-2", Some(429)),
    ("html", Some(200)),
    ("hang", None),
];

/// Returns a setup in which a provider's own models fail, and a second provider serves them.
fn failing(first: &Mock, second: &Mock) -> Setup {
    let providers = [
        setup::provider("openai", "openai", first.address()),
        setup::provider("anthropic", "anthropic", first.address()),
        setup::provider("gemini", "gemini", first.address()),
        setup::provider("backup", "mock", second.address()),
    ];
    let entry = |provider: &str, fault: &str| {
        format!(
            "{{name: {provider}-{fault}, credits: 2, targets: [{{provider: {provider}, model: \"{fault}\"}}, \
             {{provider: backup, model: tokens-3}}], cooldown: {{failures: 100}}, sticky: off}}"
        )
    };
    let of_kind = |provider: &'static str| FAULTS.map(|(fault, _)| entry(provider, fault));
    let models = [of_kind("openai"), of_kind("anthropic"), of_kind("gemini")].concat().join(", ");
    Setup::new()
        .section("providers", &format!("[{}]", providers.join(", ")))
        .section("models", &format!("[{models}]"))
        .section("ai", "{timeouts: {first_byte: 1s}}")
}

/// Returns the kind of provider, the path and the body of a call in each format.
fn calls(fault: &str, is_stream: bool) -> Vec<(&'static str, String, Value)> {
    let of = |format: Format| {
        let kind = format.kind();
        (kind, format.path().to_owned(), format.body(&format!("{kind}-{fault}"), is_stream))
    };
    let verb = if is_stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let google = format!("/v1beta/models/gemini-{fault}:{verb}");
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    Format::ALL.into_iter().map(of).chain([("gemini", google, body)]).collect()
}

#[tokio::test]
async fn calls_of_each_format_continue_with_the_second_target() {
    let (first, second) = (Mock::start().await, Mock::start().await);
    let gateway = Gateway::start(failing(&first, &second)).await;
    let key = gateway.key().await;
    let mut sent = 0;
    for (fault, status) in FAULTS {
        for is_stream in [true, false] {
            for (kind, path, body) in calls(fault, is_stream) {
                let what = format!("{path} {fault} {is_stream}");
                let answer = gateway.call(Call::json(&path, &body).key(&key)).await.expect(200);
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                let shown =
                    ["x-tollgate-model", "x-tollgate-attempts"].map(|name| answer.header(name).unwrap_or_default());
                let is_left_out = shown[1] == "1";
                assert_eq!(shown[0], "backup/tokens-3", "{what}: {text}");
                assert!(!text.contains("error\":{") && !text.contains("html"), "{what}: {text}");
                sent += 1;
                let id = answer.header("x-request-id").unwrap().to_owned();
                let request = eventually("the request is listed", async || {
                    let path = format!("/api/usage/requests/{id}");
                    let answer = gateway.ask(Call::get(&path).key(&key)).await;
                    (answer.status() == 200).then(|| answer.json())
                })
                .await;
                let of = |attempt: &Value| (attempt["provider"].clone(), attempt["status"].clone());
                let attempts: Vec<_> = request["attempts"].as_array().unwrap().iter().map(of).collect();
                let served = (json!("backup"), json!(200));
                let failed = (json!(kind), json!(status));
                let expected = if is_left_out { vec![served] } else { vec![failed, served] };
                assert_eq!((attempts, &request["credits"]), (expected, &json!(2)), "{what}: {request}");
            }
        }
    }
    let served = second.requests("tokens-3").await;
    assert_eq!(served, sent, "each call is served once");
    reconcile::agrees(gateway.folder()).await;
}
