use std::sync::{Arc, Mutex};

use access::Role;
use serde_json::json;
use telemetry::{BackendBoard, CachePurge, PurgeTarget};

use crate::client::call;
use crate::world::World;

#[tokio::test]
async fn a_purge_names_a_url_a_prefix_or_a_tag() {
    let (board, purges) = (BackendBoard::default(), Arc::new(Mutex::new(Vec::new())));
    let noted = purges.clone();
    board.set_purge(move |purge: &CachePurge| {
        noted.lock().unwrap().push(purge.clone());
        3
    });
    let world = World::start_with_board(Arc::new(board)).await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let url = PurgeTarget::Url("https://a/b?c=d&e".to_owned());
    for (query, expected) in [
        ("?url=https%3A%2F%2FA%3A443%2Fb%3Fc%3Dd%26e", Some((url.clone(), false))),
        ("?url=https://a/b?c=d%26e&soft=true", Some((url, true))),
        ("?prefix=http://a:8080/", Some((PurgeTarget::Prefix("http://a:8080/".to_owned()), false))),
        ("?tag=one&soft=false", Some((PurgeTarget::Tag("one".to_owned()), false))),
        ("", None),
        ("?tag=", None),
        ("?url=/a", None),
        ("?url=http://a/&tag=b", None),
        ("?tag=a&soft=perhaps", None),
    ] {
        let answer = call(world.address, &format!("DELETE /api/cache{query}"), &[&session.bearer()], "").await;
        let asked = purges.lock().unwrap().pop();
        match expected {
            Some((target, soft)) => {
                assert_eq!((answer.status, answer.json()), (200, json!({"purged": 3})), "{query}");
                assert_eq!(asked, Some(CachePurge { target, soft }), "{query}");
            }
            None => {
                answer.refuses(400, "bad_request");
                assert_eq!(asked, None, "{query}");
            }
        }
    }
}

#[tokio::test]
async fn only_admins_purge_and_only_beside_a_proxy() {
    let world = World::start().await;
    for (name, role, status, code) in
        [("root", Role::Admin, 503, "unavailable"), ("ada", Role::Member, 403, "forbidden")]
    {
        let person = world.person_with(name, role).await;
        let session = world.sign_in(&person).await;
        let answer = call(world.address, "DELETE /api/cache?tag=a", &[&session.bearer()], "").await;
        answer.refuses(status, code);
    }
}
