//! The models, aliases and rate limits of a plan, from the file to the responses of the binary.

use e2e::{Call, Gateway, Mock, Setup, eventually, setup};
use serde_json::{Value, json};

use crate::bodies::Format;

const PLANS: &str = "{name: pro, models: [fast], aliases: {gpt-4o: fast}, \
    rate_limits: [{dimension: [user, model], limit: 4, window: 1h}]}";

#[tokio::test]
async fn users_of_a_plan_call_its_models_by_their_aliases_until_the_plans_limit() {
    let mock = Mock::start().await;
    let models = "[{name: fast, targets: [{provider: up, model: tokens-3}]}, {name: slow, targets: [{provider: up, model: tokens-1}]}]";
    let setup = Setup::new()
        .section("providers", &format!("[{}]", setup::provider("up", "mock", mock.address())))
        .section("models", models);
    let gateway = Gateway::start(setup.plans(PLANS)).await;
    let key = gateway.account("pro").await.key;
    let open = gateway.key().await;
    let call = |format: Format, model: &str, key: &str| {
        let call = Call::json(format.path(), &format.body(model, false)).key(key);
        async { gateway.call(call).await }
    };
    for format in Format::ALL {
        let refused = call(format, "slow", &key).await.expect(404);
        assert!(refused.text().contains("the plan pro does not include the model"), "{}", refused.text());
        call(format, "gpt-4o", &key).await.expect(200);
        call(format, "slow", &open).await.expect(200);
    }
    let last = call(Format::Chat, "fast", &key).await.expect(200);
    let header = |name: &str| last.header(name).unwrap_or_default().to_owned();
    assert_eq!((header("x-ratelimit-limit"), header("x-ratelimit-remaining")), ("4".to_owned(), "0".to_owned()));
    call(Format::Chat, "gpt-4o", &key).await.expect(429);
    assert_eq!(mock.requests("tokens-3").await, 4);
    for (path, listed) in [("/v1/models", "\"id\":\"gpt-4o\""), ("/v1beta/models", "\"models/gpt-4o\"")] {
        let list = gateway.call(Call::get(path).key(&key)).await.expect(200).text();
        assert!(list.replace(' ', "").contains(listed) && list.contains("fast") && !list.contains("slow"), "{list}");
    }
    let used = eventually("the calls are counted under the name of the entry", async || {
        let today = gateway.ask(Call::get("/api/usage/requests").key(&key)).await.expect(200).json();
        let is_served = |request: &&Value| request["status"] == 200;
        let served: Vec<Value> = today["items"].as_array().unwrap().iter().filter(is_served).cloned().collect();
        (served.len() == 4).then_some(served)
    });
    assert!(used.await.iter().all(|request| request["model"] == "fast"));
    let plans = gateway.ask(Call::get("/api/plans").key(&key)).await.expect(200).json();
    let pro = plans["items"].as_array().unwrap().iter().find(|plan| plan["name"] == "pro").unwrap();
    assert_eq!((&pro["models"], &pro["aliases"]), (&json!(["fast"]), &json!({"gpt-4o": "fast"})), "{pro}");
}
