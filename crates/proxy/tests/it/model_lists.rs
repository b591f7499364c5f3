//! Lists of models, and single models, as clients get them.

use http::Method;

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw, got};

const PROVIDER: &str = "providers: [{name: openai, kind: openai, base_url: \"http://127.0.0.1:9/v1\", credential: k}]\n\
    prices: [{model: openai/m, input: '1.25', cached_input: '0.125', output: '10'}]\n";

/// Returns the body of a response with status 200.
async fn answer(gateway: &Gateway, path: &str) -> String {
    let answer = got(gateway.caller().send(Method::GET, path, "").await).await;
    assert_eq!(answer.status, 200, "{path} {}", answer.body);
    answer.body
}

#[tokio::test]
async fn a_list_is_not_empty_without_entries_and_has_prices() {
    let gateway = Gateway::plain(PROVIDER);
    let list = answer(&gateway, "/v1/models").await;
    assert!(list.starts_with("{\"object\":\"list\",\"data\":[{\"id\":\"openai/m\""), "{list}");
    let pricing = r#""pricing":{"prompt":"0.00000125","completion":"0.00001","input_cache_read":"0.000000125""#;
    assert!(list.contains(pricing), "{list}");
    let one = answer(&gateway, "/v1/models/openai/m").await;
    assert!(list.contains(&one), "{one}");
}

#[tokio::test]
async fn a_pattern_is_listed_by_the_names_it_stands_for() {
    let entry = "models: [{name: 'o/*', targets: [{provider: openai, model: '*'}]}]\n";
    let list = answer(&Gateway::plain(&format!("{PROVIDER}{entry}")), "/v1/models").await;
    assert!(list.contains("\"id\":\"o/m\"") && list.matches("\"id\"").count() == 1, "{list}");
}

#[tokio::test]
async fn a_google_client_may_send_the_whole_name_of_the_list() {
    let entry = "models: [{name: fast, targets: [{provider: openai, model: gpt-5}]}]\n";
    let gateway = Gateway::plain(&format!("{PROVIDER}{entry}"));
    let list = answer(&gateway, "/v1beta/models").await;
    assert!(list.starts_with("{\"models\":[{\"name\":\"models/fast\""), "{list}");
    assert!(answer(&gateway, "/v1beta/models/models/fast").await.contains("\"name\":\"models/fast\""));
}

/// Starts a provider that notes the heads of requests and returns a list of models, or an error.
async fn lister(status: &'static str) -> Raw {
    Raw::start(move |mut conn: Conn| async move {
        while conn.whole_head().await.is_some() {
            let body = r#"{"object":"list","data":[{"id":"llama"},{"id":"qwen/3"}]}"#;
            conn.say(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_provider_without_prices_is_asked_for_its_models_once() {
    let raw = lister("200 OK").await;
    let gateway = Gateway::before_llm(&format!("http://{}", raw.address));
    for _ in 0..3 {
        let list = answer(&gateway, "/v1/models").await;
        assert!(list.contains("\"id\":\"far/llama\"") && list.contains("\"id\":\"far/qwen/3\""), "{list}");
    }
    let asked = raw.asked();
    let [(_, head)] = &asked[..] else { panic!("{asked:?}") };
    assert!(head.starts_with("get /v1/models http/1.1\r\n") && head.contains("sk-far"), "{head}");
    let entry = "models: [{name: 'o/*', targets: [{provider: far, model: '*'}]}]\n";
    let provider = format!("{{name: far, kind: openai, base_url: \"http://{}/v1\", credential: k}}", raw.address);
    let list = answer(&Gateway::plain(&format!("providers: [{provider}]\n{entry}")), "/v1/models").await;
    assert!(list.contains("\"id\":\"o/llama\"") && list.matches("\"id\"").count() == 2, "{list}");
}

#[tokio::test]
async fn a_list_without_the_models_of_a_failing_provider_has_what_is_known() {
    let raw = lister("500 Internal Server Error").await;
    let far = format!("{{name: far, kind: openai, base_url: \"http://{}/v1\", credential: k}}", raw.address);
    let yaml = PROVIDER.replace("providers: [", &format!("providers: [{far}, "));
    let gateway = Gateway::plain(&yaml);
    for _ in 0..2 {
        let list = answer(&gateway, "/v1/models").await;
        assert!(list.contains("\"id\":\"openai/m\"") && list.matches("\"id\"").count() == 1, "{list}");
    }
    assert_eq!(raw.asked().len(), 1);
}
