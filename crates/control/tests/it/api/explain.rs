use access::Role;
use serde_json::{Value, json};

use crate::client::post;
use crate::world::World;

const PATH: &str = "/api/explain";

#[tokio::test]
async fn an_admin_sees_what_happens_to_a_request() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let explain = async |body: &Value| post(world.address, PATH, &[&session.bearer()], &body.to_string()).await;
    let call = explain(&json!({"method": "POST", "url": "https://api.example.com/v1/messages"})).await;
    let explained = call.json();
    assert_eq!(
        (&explained["route"]["name"], &explained["action"]["format"], &explained["status"]),
        (&json!("/v1/messages"), &json!("messages"), &json!(401)),
        "{call:?}"
    );
    let with_key =
        explain(&json!({"method": "POST", "url": "/v1/messages", "headers": {"X-Api-Key": "tg_1"}})).await.json();
    assert_eq!((&with_key["authentication"]["has_credential"], &with_key["status"]), (&json!(true), &Value::Null));
    let unknown = explain(&json!({"url": "/nowhere?a=b"})).await.json();
    assert_eq!((&unknown["request"]["method"], &unknown["status"]), (&json!("GET"), &json!(404)));
}

#[tokio::test]
async fn a_request_that_the_gateway_would_refuse_is_refused() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    for body in [
        json!({"url": "/a/../b"}),
        json!({"url": "ftp://example.com/"}),
        json!({"url": "/a b"}),
        json!({"url": "/", "method": "G T"}),
        json!({"url": "/", "headers": {"a": "b\r\nc: d"}}),
    ] {
        post(world.address, PATH, &[&session.bearer()], &body.to_string()).await.refuses(422, "unprocessable");
    }
    let unknown = json!({"url": "/", "path": "/"}).to_string();
    post(world.address, PATH, &[&session.bearer()], &unknown).await.refuses(400, "bad_request");
}

#[tokio::test]
async fn only_an_admin_sees_the_configuration() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    let body = json!({"url": "/"}).to_string();
    post(world.address, PATH, &[&session.bearer()], &body).await.refuses(403, "forbidden");
    post(world.address, PATH, &[], &body).await.refuses(401, "unauthorized");
}
