//! Lists of models, and single models, as clients get them.

use http::Method;

use crate::gateway::Gateway;
use crate::raw::got;

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
