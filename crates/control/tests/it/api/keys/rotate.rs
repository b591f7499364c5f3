use std::time::Duration;

use access::Timestamp;
use serde_json::{Value, json};

use super::{PATH, create, delete, patch, rotate, show, text, validate};
use crate::client::{get, post};
use crate::world::{NOON, World};

#[tokio::test]
async fn the_old_secret_ends_at_once_without_a_grace_period() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let bounds = json!({"label": "ci", "limits": {"credits_per_day": 7}, "addresses": ["127.0.0.1"]});
    let created = create(&world, &ada.bearer(), &bounds).await;
    let id = text(&created, "id");
    let old = text(&created, "key");
    for body in ["", "{}", "{\"grace\":null}", "{\"grace\":\"0s\"}"] {
        let before = super::view(&show(&world, &ada.bearer(), &id).await);
        let rotated = rotate(&world, &ada.bearer(), &id, body).await;
        let new = text(&rotated, "key");
        assert_ne!(new, old);
        let mut expected = before.clone();
        expected["key"] = json!(new);
        expected["last4"] = json!(new[new.len() - 4..]);
        expected["previous"] = json!({"last4": before["last4"], "until": "2026-11-20T12:00:00Z", "last_used_at": null});
        assert_eq!(rotated.json(), expected, "{body}");
        assert_eq!(validate(&world, &new).await.json()["key"]["rotated"], false);
    }
    let reported = validate(&world, &old).await;
    assert!([401].contains(&reported.status), "{reported:?}");
}

#[tokio::test]
async fn two_secrets_at_most_open_one_key_until_the_grace_is_over() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let created = create(&world, &ada.bearer(), &json!({"label": "ci"})).await;
    let id = text(&created, "id");
    let first = text(&created, "key");
    let second = text(&rotate(&world, &ada.bearer(), &id, "{\"grace\":\"1h\"}").await, "key");
    for (secret, rotated) in [(&first, true), (&second, false)] {
        let valid = validate(&world, secret).await.json();
        assert_eq!((&valid["key"]["id"], &valid["key"]["rotated"]), (&json!(id), &json!(rotated)));
        assert_eq!(valid["key"]["last4"], second[second.len() - 4..]);
    }
    let third = text(&rotate(&world, &ada.bearer(), &id, "{\"grace\":\"7d\"}").await, "key");
    validate(&world, &first).await.refuses(401, "key_unknown");
    assert_eq!(validate(&world, &second).await.json()["key"]["rotated"], true);
    world.clock.advance(Duration::from_secs(7 * 86_400 - 1));
    assert_eq!(validate(&world, &second).await.status, 200);
    world.clock.advance(Duration::from_secs(1));
    let reported = validate(&world, &second).await.refuses(401, "key_revoked");
    assert!(reported.contains("replaced"), "{reported}");
    assert_eq!(validate(&world, &third).await.status, 200);
}

#[tokio::test]
async fn a_replaced_secret_sees_and_changes_nothing() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let id = ada.key.to_string();
    let new = text(&rotate(&world, &ada.bearer(), &id, "{\"grace\":\"1h\"}").await, "key");
    world.refresh().await;
    assert_eq!(get(world.address, PATH, &[&ada.bearer()]).await.status, 200);
    for answer in [
        create(&world, &ada.bearer(), &json!({"label": "x"})).await,
        patch(&world, &ada.bearer(), &id, &json!({"label": "x"})).await,
        delete(&world, &ada.bearer(), &id).await,
        rotate(&world, &ada.bearer(), &id, "").await,
    ] {
        assert!(answer.refuses(403, "forbidden").contains("replaced"));
    }
    assert_eq!(rotate(&world, &format!("X-API-Key: {new}"), &id, "").await.status, 200, "a key rotates itself");
}

#[tokio::test]
async fn the_end_of_the_key_holds_for_both_secrets() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let brief = world.expiring_key(&ada, "brief", Timestamp(NOON.0 + 60_000_000)).await;
    let new = text(&rotate(&world, &ada.bearer(), &brief.key.to_string(), "{\"grace\":\"1h\"}").await, "key");
    assert_eq!((validate(&world, &brief.secret).await.status, validate(&world, &new).await.status), (200, 200));
    world.clock.advance(Duration::from_secs(60));
    for secret in [&brief.secret, &new] {
        validate(&world, secret).await.refuses(401, "key_expired");
    }
}

#[tokio::test]
async fn sessions_that_began_with_the_key_end_except_for_the_current_one() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let begin = async |secret: &str| {
        let answer = post(world.address, "/api/auth/login", &[], &json!({"key": secret}).to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        format!("Authorization: Bearer {}", text(&answer, "access_token"))
    };
    let stolen = begin(&ada.secret).await;
    let asking = begin(&ada.secret).await;
    let rotated = rotate(&world, &asking, &ada.key.to_string(), "").await;
    let new = text(&rotated, "key");
    world.refresh().await;
    get(world.address, PATH, &[&stolen]).await.refuses(401, "token_expired");
    assert_eq!(get(world.address, PATH, &[&asking]).await.status, 200);
    let again = post(world.address, "/api/auth/login", &[], &json!({"key": ada.secret}).to_string()).await;
    assert_eq!(again.status, 401, "{again:?}");
    assert_eq!(get(world.address, PATH, &[&begin(&new).await]).await.status, 200);
}

#[tokio::test]
async fn a_grace_is_a_duration_of_at_most_seven_days() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let id = world.key(&ada, "x").await.key.to_string();
    for grace in ["", "1", "h", "-1h", "1.5h", "1w", "8d", "604801s", "169h", "1h30m", " 1h", "1h\u{0}", "٣h"] {
        let answer = rotate(&world, &ada.bearer(), &id, &json!({"grace": grace}).to_string()).await;
        assert!(answer.refuses(422, "unprocessable").contains("grace"), "{grace}");
    }
    for (body, reason) in [
        ("{\"grace\":3600}", "`grace`: expected a string"),
        ("{\"grace\":[\"1h\"]}", "`grace`: expected a string"),
        ("{\"graze\":\"1h\"}", "unknown field `graze`"),
        ("[]", "must be a JSON object"),
    ] {
        let reported = rotate(&world, &ada.bearer(), &id, body).await.refuses(400, "bad_request");
        assert!(reported.contains(reason), "{body}: {reported}");
    }
    assert_eq!(show(&world, &ada.bearer(), &id).await.json()["previous"], Value::Null);
    for grace in ["0s", "250ms", "168h", "7d", "604800s"] {
        assert_eq!(
            rotate(&world, &ada.bearer(), &id, &json!({"grace": grace}).to_string()).await.status,
            200,
            "{grace}"
        );
    }
}
