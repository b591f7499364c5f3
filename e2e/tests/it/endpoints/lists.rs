//! `GET /v1/models` and `/v1/models/{model}` in the shapes of three API families.

use e2e::{Answer, Call, Gateway, Setup, Upstream};
use serde_json::{Value, json};

use super::asks::Dialect;

const MODELS: &str = "[{name: fast, targets: [{provider: up, model: gpt-x}]}, \
    {name: my/slow:1, targets: [{provider: up, model: gpt-y}]}]";

/// A client: its path, and the header field of its key.
const CLIENTS: [(Dialect, &str, &str, &str); 6] = [
    (Dialect::OpenAi, "/v1/models", "authorization", "Bearer {key}"),
    (Dialect::Azure, "/openai/models", "api-key", "{key}"),
    (Dialect::Azure, "/openai/v1/models", "api-key", "{key}"),
    (Dialect::Anthropic, "/v1/models", "x-api-key", "{key}"),
    (Dialect::Google, "/v1/models", "x-goog-api-key", "{key}"),
    (Dialect::Google, "/v1beta/models", "x-goog-api-key", "{key}"),
];

struct ModelListServer {
    upstream: Upstream,
    gateway: Gateway,
    key: String,
}

impl ModelListServer {
    async fn new() -> Self {
        let upstream = Upstream::json(&json!({})).await;
        let gateway = Gateway::start(Setup::provider("openai", upstream.address()).section("models", MODELS)).await;
        let key = gateway.key().await;
        Self { upstream, gateway, key }
    }

    async fn get(&self, client: (Dialect, &str, &str, &str), below: &str) -> Answer {
        let (dialect, path, header, value) = client;
        let mut call = Call::get(&format!("{path}{below}")).header(header, &value.replace("{key}", &self.key));
        if dialect == Dialect::Anthropic {
            call = call.header("anthropic-version", "2023-06-01");
        }
        self.gateway.call(call).await
    }
}

fn item(dialect: Dialect, name: &str) -> Value {
    match dialect {
        Dialect::OpenAi | Dialect::Azure => {
            let mut item = json!({"id": name, "object": "model", "created": 0, "owned_by": "tollgate"});
            // The models of the entries are known as those of their family.
            if name != "up/any" {
                let inputs = ["text", "image", "file"];
                item["architecture"] = json!({"input_modalities": inputs, "output_modalities": ["text"]});
            }
            item
        }
        Dialect::Anthropic => {
            json!({"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"})
        }
        Dialect::Google => json!({"name": format!("models/{name}"), "displayName": name}),
    }
}

#[tokio::test]
async fn models_are_listed_for_each_client_in_its_shape() {
    let served = ModelListServer::new().await;
    for client in CLIENTS {
        let list = served.get(client, "").await.expect(200).json();
        let items = ["fast", "my/slow:1"].map(|name| item(client.0, name));
        let expected = match client.0 {
            Dialect::OpenAi | Dialect::Azure => json!({"object": "list", "data": items}),
            Dialect::Anthropic => {
                json!({"data": items, "has_more": false, "first_id": "fast", "last_id": "my/slow:1"})
            }
            Dialect::Google => json!({"models": items}),
        };
        assert_eq!(list, expected, "{client:?}");
    }
    assert!(served.upstream.seen().is_empty(), "Tollgate answers the list without the provider");
    assert_eq!(served.gateway.used(&served.key).await, 0);
}

#[tokio::test]
async fn one_model_is_returned_in_each_clients_format_and_another_is_404() {
    let served = ModelListServer::new().await;
    for client in CLIENTS {
        for (requested, name) in
            [("fast", "fast"), ("my%2Fslow%3A1", "my/slow:1"), ("my/slow:1", "my/slow:1"), ("up/any", "up/any")]
        {
            let reported = served.get(client, &format!("/{requested}")).await.expect(200).json();
            assert_eq!(reported, item(client.0, name), "{client:?}");
        }
        let word = match client.0 {
            Dialect::OpenAi | Dialect::Azure => "model_not_found",
            Dialect::Anthropic => "not_found_error",
            Dialect::Google => "NOT_FOUND",
        };
        client.0.check(&served.get(client, "/nobody").await, 404, "model_not_found", word);
    }
}
