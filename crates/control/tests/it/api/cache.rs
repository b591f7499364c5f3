use std::sync::{Arc, Mutex};

use access::Role;
use serde_json::json;
use telemetry::{BackendBoard, CachePurge, PurgeTarget};

use crate::client::{call, get};
use crate::world::World;

#[tokio::test]
async fn a_purge_names_a_url_a_prefix_or_a_tag() {
    let board = BackendBoard::default();
    let purges = Arc::new(Mutex::new(Vec::<CachePurge>::new()));
    let noted = purges.clone();
    let known = purges.clone();
    let purge = move |purge: &CachePurge| {
        noted.lock().unwrap().push(purge.clone());
        3
    };
    board.set_purge(purge, move || known.lock().unwrap().last().map_or(0, |purge| purge.number));
    let world = World::start_with_board(Arc::new(board)).await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let url = PurgeTarget::Url("https://a/b?c=d&e".to_owned());
    let mut made = 0;
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
        let asked = purges.lock().unwrap().len();
        match expected {
            Some((target, soft)) => {
                assert_eq!((answer.status, answer.json()), (200, json!({"purged": 3})), "{query}");
                let purge = purges.lock().unwrap().last().cloned().unwrap();
                assert_eq!((purge.target, purge.soft, purge.number), (target, soft, u64::try_from(asked).unwrap()));
                made += 1;
            }
            None => drop(answer.refuses(400, "bad_request")),
        }
        assert_eq!(asked, made, "{query}");
    }
}

#[tokio::test]
async fn only_admins_purge_and_another_process_follows() {
    let world = World::start().await;
    let ada = world.person_with("ada", Role::Member).await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&ada).await;
    call(world.address, "DELETE /api/cache?tag=a", &[&session.bearer()], "").await.refuses(403, "forbidden");
    // A process without a proxy records the purge for those with one.
    let session = world.sign_in(&root).await;
    let answer = call(world.address, "DELETE /api/cache?tag=a&soft=true", &[&session.bearer()], "").await;
    assert_eq!((answer.status, answer.json()), (200, json!({"purged": 0})));
    let purges = world.store.cache_purges_after(0).await.unwrap();
    let purges: Vec<_> = purges.iter().map(|purge| (purge.number, &*purge.kind, &*purge.text, purge.soft)).collect();
    assert_eq!(purges, [(1, "tag", "a", true)]);
}

#[tokio::test]
async fn a_purge_is_in_the_audit_log_without_its_text() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let purge = "DELETE /api/cache?url=https://a/ada@example.com?token=b&soft=true";
    assert_eq!(call(world.address, purge, &[&session.bearer()], "").await.status, 200);
    call(world.address, "DELETE /api/cache?tag=", &[&session.bearer()], "").await.refuses(400, "bad_request");
    let log = get(world.address, "/api/audit?action=cache.purge", &[&session.bearer()]).await.json();
    let [line] = log["items"].as_array().unwrap().as_slice() else { panic!("{log}") };
    assert_eq!(line["detail"], json!({"kind": "url", "soft": true}));
    assert_eq!(line["actor"]["user_id"], json!(root.user.to_string()));
}
