use access::Role;
use serde_json::json;

use crate::client::{call, get};
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
        "acts_as": "member", "finance": false, "roles": [], "session_id": null, "key_id": ada.key,
    });
    assert_eq!((answer.status, answer.json()), (200, expected));
}

#[tokio::test]
async fn an_unauthenticated_client_is_refused() {
    let world = World::start().await;
    get(world.address, PATH, &[]).await.refuses(401, "unauthorized");
    get(world.address, PATH, &["Cookie: theme=dark"]).await.refuses(401, "unauthorized");
}

#[tokio::test]
async fn finance_is_a_grant_of_users_who_signed_in_with_a_password() {
    let world = World::start().await;
    let person = world.person_with("fin", Role::Member).await;
    let fin = world.sign_in(&person).await.bearer();
    let root = world.person_with("root", Role::Admin).await;
    let root = world.sign_in(&root).await.bearer();
    let finance = async |credential: &str| get(world.address, PATH, &[credential]).await.json()["finance"].clone();
    assert_eq!((finance(&root).await, finance(&fin).await), (json!(true), json!(false)));
    let ada = world.holder("ada", "starter").await;
    for (user, credential, grants, expected) in [
        (person.user, &fin, json!([{"role": "finance"}]), true),
        (person.user, &fin, json!([{"role": "team_lead", "label": "team=payments"}]), false),
        (ada.user, &ada.bearer(), json!([{"role": "finance"}]), false),
    ] {
        let path = format!("PATCH /api/users/{user}");
        let body = json!({ "grants": grants }).to_string();
        let changed = call(world.address, &path, &["Content-Type: application/json", &root], &body).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        assert_eq!(finance(credential).await, json!(expected), "{grants} of {user}");
        let roles = get(world.address, PATH, &[credential]).await.json()["roles"].as_array().unwrap().len();
        // A key has none.
        assert_eq!(roles, if user == ada.user { 0 } else { grants.as_array().unwrap().len() });
    }
}
