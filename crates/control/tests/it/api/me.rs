use serde_json::json;

use crate::client::get;
use crate::world::World;

const PATH: &str = "/api/me";

#[tokio::test]
async fn a_key_reads_its_own_user() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let answer = get(world.address, PATH, &[&ada.bearer()]).await;
    let expected = json!({
        "user": {"id": ada.user, "name": "ada", "kind": "person", "email": "ada@example.com", "plan": "starter", "role": "member",
            "status": "active", "created_at": "2026-11-20T12:00:00Z"},
        "acts_as": "member", "session_id": null, "key_id": ada.key,
    });
    assert_eq!((answer.status, answer.json()), (200, expected));
}

#[tokio::test]
async fn an_unauthenticated_client_is_refused() {
    let world = World::start().await;
    get(world.address, PATH, &[]).await.refuses(401, "unauthorized");
    get(world.address, PATH, &["Cookie: theme=dark"]).await.refuses(401, "unauthorized");
}
