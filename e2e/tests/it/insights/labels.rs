//! The labels of requests: those of the key, then of the user, then of the route.

use e2e::{Call, Gateway, Setup, Upstream, commands, eventually};
use serde_json::{Value, json};

const ROUTE: &str =
    "{path: /a, upstreams: backend, events: rows, labels: {team: of_route, tier: of_route, area: of_route}}";

/// A request keeps its labels when those of its key are changed later.
#[tokio::test]
async fn labels_of_the_key_precede_those_of_the_user_and_of_the_route() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let gateway = Gateway::start(Setup::routed(upstream.address(), ROUTE).plans("{name: starter}")).await;
    let account = gateway.account("starter").await;
    let admin = crate::webhooks::admin(&gateway).await;
    let users = crate::audit::must(gateway.folder(), &["users", "list"]).await;
    let user = users.lines().find(|line| line.contains(&account.email)).unwrap();
    let keys = commands::keys_list(gateway.folder(), &account.email).await;
    let [user, key] = [user, &keys].map(|text| text.split_whitespace().next().unwrap().to_owned());
    let label = async |path: String, labels: Value| {
        let call = Call::new("PATCH", &path).header("content-type", "application/json");
        gateway.ask(call.body(json!({"labels": labels}).to_string()).key(&admin)).await.expect(200);
    };
    label(format!("/api/users/{user}"), json!({"team": "of_user", "tier": "of_user"})).await;
    label(format!("/api/keys/{key}"), json!({"team": "of_key"})).await;
    let request = async || {
        let called = gateway.call(Call::get("/a").key(&account.key)).await.expect(200);
        called.header("x-request-id").unwrap().to_owned()
    };
    let labels = async |id: &str| {
        eventually("the request is stored", async || {
            let found = gateway.ask(Call::get(&format!("/api/usage/requests/{id}")).key(&account.key)).await;
            (found.status() == 200).then(|| found.json()["labels"].clone())
        })
        .await
    };
    let first = request().await;
    let expected = json!({"team": "of_key", "tier": "of_user", "area": "of_route"});
    assert_eq!(labels(&first).await, expected);

    label(format!("/api/keys/{key}"), json!({"team": "of_key_2"})).await;
    eventually("requests have the new label", async || {
        let later = request().await;
        let found = labels(&later).await;
        (found == json!({"team": "of_key_2", "tier": "of_user", "area": "of_route"})).then_some(())
    })
    .await;
    assert_eq!(labels(&first).await, expected, "a stored request keeps its labels");
}
