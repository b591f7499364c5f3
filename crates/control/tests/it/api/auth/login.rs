use std::time::Duration;

use access::UserStatus;
use control::ServerLimits;
use serde_json::json;
use store::UserRef;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Answer, get, post};
use crate::person::{BrowserSession, ORIGIN, PASSWORD, Person, cookies_of, shape};
use crate::world::World;

const PATH: &str = "/api/auth/login";

fn body(email: &str, password: &str) -> String {
    json!({"email": email, "password": password}).to_string()
}

#[tokio::test]
async fn a_password_opens_a_session_by_token_and_by_cookie() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let answer = post(world.address, PATH, &[], &body(" ADA@example.com ", PASSWORD)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let reported = answer.json();
    assert_eq!(reported["user"]["id"], json!(ada.user));
    assert_eq!(
        (&reported["user"]["email"], &reported["user"]["role"], &reported["user"]["plan"], &reported["user"]["status"]),
        (&json!("ada@example.com"), &json!("member"), &json!("starter"), &json!("active"))
    );
    assert_eq!(reported["expires_at"], "2026-11-21T12:00:00Z");
    assert!(reported.get("refresh_token").is_none(), "the body contains it only on request");
    let bearer = format!("Authorization: Bearer {}", reported["access_token"].as_str().unwrap());
    for header in [bearer, format!("Cookie: {}", cookies_of(&answer))] {
        let me = world.me(&header).await;
        assert_eq!((me.status, &me.json()["user"]), (200, &reported["user"]), "{me:?}");
        assert_eq!((&me.json()["acts_as"], &me.json()["key_id"]), (&json!("member"), &json!(null)));
    }
}

#[tokio::test]
async fn a_key_begins_a_session_with_the_rights_of_the_key() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let answer = post(world.address, PATH, &[], &json!({"key": ada.secret, "refresh": true}).to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let session = BrowserSession::read(&answer);
    let me = world.me(&session.cookie()).await.json();
    assert_eq!((&me["key_id"], &me["acts_as"]), (&json!(ada.key), &json!("member")));
    assert_eq!(get(world.address, "/api/usage/today", &[&session.bearer()]).await.status, 200);

    world.store.revoke_key(&store::Actor::COMMAND, ada.key).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    world.me(&session.bearer()).await.refuses(401, "key_revoked");
    world.me(&session.cookie()).await.refuses(401, "key_revoked");
}

#[tokio::test]
async fn a_session_from_a_key_ends_with_the_key_and_is_never_an_admins() {
    let world = World::start().await;
    let root = world.person_with("root", access::Role::Admin).await;
    let key = world.key_of(root.user, "short", Some(access::Timestamp(world.clock.now().0 + 60_000_000))).await;
    let answer = post(world.address, PATH, &[], &json!({"key": key, "refresh": true}).to_string()).await;
    let session = BrowserSession::read(&answer);
    let me = world.me(&session.bearer()).await.json();
    assert_eq!((&me["user"]["role"], &me["acts_as"]), (&json!("admin"), &json!("member")));
    let with_password = world.sign_in(&root).await;
    assert_eq!(world.me(&with_password.bearer()).await.json()["acts_as"], "admin");
    world.clock.advance(Duration::from_secs(60));
    world.me(&session.bearer()).await.refuses(401, "key_expired");
}

#[tokio::test]
async fn a_session_from_a_key_opens_nothing_while_invoices_are_unpaid() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let answer = post(world.address, PATH, &[], &json!({"key": ada.secret, "refresh": true}).to_string()).await;
    let session = BrowserSession::read(&answer);
    assert_eq!(world.me(&session.bearer()).await.status, 200);
    world.hold(&ada, "starter").await;
    world.clock.advance(Duration::from_secs(1));
    world.me(&session.bearer()).await.refuses(402, "payment_required");
}

#[tokio::test]
async fn an_invalid_key_begins_no_session() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let ask = async |key: &str| post(world.address, PATH, &[], &json!({"key": key}).to_string()).await;
    ask("sk-proj").await.refuses(401, "key_malformed");
    ask(access::ApiKey::generate("tollgate").unwrap().expose()).await.refuses(401, "key_unknown");
    world.store.revoke_key(&store::Actor::COMMAND, ada.key).await.unwrap();
    world.refresh().await;
    ask(&ada.secret).await.refuses(401, "key_revoked");
    let bob = world.holder("bob", "starter").await;
    world.suspend(&bob).await;
    ask(&bob.secret).await.refuses(403, "user_suspended");
}

#[tokio::test]
async fn all_failed_sign_ins_have_the_same_response() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    world.holder("keyed", "starter").await;
    let eve = world.person("eve").await;
    let suspend = UserRef::Id(eve.user);
    world
        .store
        .change_user(
            &store::Actor::COMMAND,
            &suspend,
            store::UserChange { status: Some(UserStatus::Suspended), ..store::UserChange::default() },
        )
        .await
        .unwrap();
    let before = world.count("api_passwords_hashed_total").await;
    let mut answers = Vec::new();
    for (email, password) in [
        (ada.email.as_str(), "not her password"),
        ("nobody@example.com", "not her password"),
        ("keyed@example.com", "not her password"),
        (&eve.email, "not her password"),
        ("no address", "not her password"),
        ("", ""),
        ("a\0b@example.com", PASSWORD),
        (&ada.email, &"x".repeat(100_000)),
    ] {
        let answer = post(world.address, PATH, &[], &body(email, password)).await;
        answer.refuses(401, "unauthorized");
        answers.push((answer.body.clone(), shape(&answer)));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert_eq!(world.count("api_passwords_hashed_total").await - before, 8, "the same work each time");
    post(world.address, PATH, &[], &body(&eve.email, PASSWORD)).await.refuses(403, "user_suspended");
}

#[tokio::test]
async fn response_times_do_not_reveal_accounts() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let before = world.count("api_passwords_hashed_total").await;
    // The minimum of many measurements, taken alternately, because other load only makes them slower.
    let mut known = Duration::MAX;
    let mut unknown = Duration::MAX;
    for round in 0..60 {
        if round % 8 == 0 {
            world.forget_attempts();
        }
        for (email, least) in [(ada.email.as_str(), &mut known), ("nobody@example.com", &mut unknown)] {
            let began = Instant::now();
            post(world.address, PATH, &[], &body(email, "not her password")).await.refuses(401, "unauthorized");
            *least = began.elapsed().min(*least);
        }
        if round >= 3 && (0.67..1.5).contains(&(known.as_secs_f64() / unknown.as_secs_f64())) {
            assert_eq!(world.count("api_passwords_hashed_total").await - before, 2 * (round + 1));
            return;
        }
    }
    panic!("{known:?} against {unknown:?}");
}

#[tokio::test]
async fn a_sign_in_is_always_a_session_of_its_own() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let eve = world.person("eve").await;
    let planted = world.sign_in(&eve).await;
    // Session fixation: the browser holds a session that an attacker knows.
    let headers = [&planted.cookie(), "Sec-Fetch-Site: same-origin"];
    let answer = post(world.address, PATH, &headers, &ada.credentials()).await;
    let own = BrowserSession::read(&answer);
    let id = async |header: &str| world.me(header).await.json()["session_id"].clone();
    let planted_id = id(&planted.bearer()).await;
    let own_id = id(&own.cookie()).await;
    assert_ne!(planted_id, own_id);
    assert_ne!(planted.cookies, own.cookies);
    assert_eq!(world.me(&planted.bearer()).await.json()["user"]["email"], "eve@example.com");
    assert_eq!(world.me(&own.cookie()).await.json()["user"]["email"], "ada@example.com");
    let again = world.sign_in(&ada).await;
    assert_ne!(id(&again.bearer()).await, own_id);
    assert_eq!(id(&own.bearer()).await, own_id, "the other session continues");
}

#[tokio::test]
async fn cookies_are_for_this_host_alone_unless_it_is_this_machine() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let cookies = async || post(world.address, PATH, &[], &ada.credentials()).await.cookies;
    let attributes = |cookies: &[String]| {
        let parts = cookies.iter().map(|line| (line.split('=').next().unwrap(), line.split_once("; ").unwrap().1));
        parts.map(|(name, rest)| format!("{name}: {rest}")).collect::<Vec<_>>()
    };
    assert_eq!(
        attributes(&cookies().await),
        [
            "tollgate_session: Path=/; Max-Age=604800; HttpOnly; SameSite=Strict",
            "tollgate_refresh: Path=/; Max-Age=604800; HttpOnly; SameSite=Strict",
            "tollgate_known: Path=/; Max-Age=15552000; HttpOnly; SameSite=Strict",
        ]
    );
    world.configure(|snapshot| snapshot.process.public_url.control = Some("https://gate.example.com".to_owned()));
    let secure = [
        "__Host-tollgate_session: Path=/; Max-Age=604800; HttpOnly; SameSite=Strict; Secure",
        "__Host-tollgate_refresh: Path=/; Max-Age=604800; HttpOnly; SameSite=Strict; Secure",
        "__Host-tollgate_known: Path=/; Max-Age=15552000; HttpOnly; SameSite=Strict; Secure",
    ];
    assert_eq!(attributes(&cookies().await), secure);

    let open = World::start_on("0.0.0.0:0").await;
    let ada = open.person("ada").await;
    let answer = post(open.address, PATH, &[], &ada.credentials()).await;
    assert_eq!(attributes(&answer.cookies), secure);
    assert_eq!(open.me(&format!("Cookie: {}", cookies_of(&answer))).await.status, 200);
    let plain = cookies_of(&answer).replace("__Host-", "");
    open.me(&format!("Cookie: {plain}")).await.refuses(401, "unauthorized");
}

#[tokio::test]
async fn a_sign_in_needs_address_and_password_or_a_key() {
    let world = World::start().await;
    for body in [
        json!({}),
        json!({"email": "ada@example.com"}),
        json!({"password": PASSWORD}),
        json!({"email": "ada@example.com", "key": "tollgate_x"}),
        json!({"email": "ada@example.com", "password": PASSWORD, "key": "tollgate_x"}),
        json!({"email": null, "password": PASSWORD}),
        json!({"email": "ada@example.com", "password": PASSWORD, "remember": true}),
        json!({"email": 7, "password": PASSWORD}),
        json!({"key": "tollgate_x", "refresh": "yes"}),
    ] {
        let message = post(world.address, PATH, &[], &body.to_string()).await.refuses(400, "bad_request");
        assert!(!message.contains(PASSWORD), "{message}");
    }
    let message = post(world.address, PATH, &[], "{\"key\":\"x\",\"remember\":1}").await.refuses(400, "bad_request");
    assert!(message.contains("unknown field `remember`"), "{message}");
    assert!(post(world.address, PATH, &[], "").await.refuses(400, "bad_request").contains("needs a body"));
}

#[tokio::test]
async fn attempts_of_an_address_are_limited_per_account_even_if_it_does_not_exist() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let mut refused = Vec::new();
    for email in [ada.email.as_str(), "nobody@example.com"] {
        for _ in 0..10 {
            post(world.address, PATH, &[], &body(email, "not the password")).await.refuses(401, "unauthorized");
        }
        let before = world.count("api_passwords_hashed_total").await;
        let answer = post(world.address, PATH, &[], &body(&email.to_uppercase(), PASSWORD)).await;
        refused.push((answer.refuses(429, "rate_limited"), answer.headers["retry-after"].clone()));
        assert_eq!(world.count("api_passwords_hashed_total").await, before, "nothing is hashed for it");
    }
    assert_eq!(refused[0], refused[1]);
    let seconds: u64 = refused[0].1.parse().unwrap();
    assert!((1..=1_800).contains(&seconds), "{seconds}");
    let bob = world.person("bob").await;
    world.sign_in(&bob).await;
    // A window that is full with ten attempts may be full for a tenth of it longer than the wait, which is at most the window.
    world.clock.advance(Duration::from_secs(seconds + seconds.div_ceil(10)));
    world.sign_in(&ada).await;
}

/// Starts a world whose clients set their address.
async fn behind_a_proxy() -> World {
    let world = World::start().await;
    world.configure(|snapshot| snapshot.traffic.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]);
    world
}

#[tokio::test]
async fn wrong_passwords_from_everywhere_slow_an_account_down_and_lock_nobody_out() {
    let world = behind_a_proxy().await;
    let ada = world.person("ada").await;
    let ask = async |n: u8, body: &str| {
        let from = format!("X-Forwarded-For: 203.0.113.{n}");
        let began = Instant::now();
        (post(world.address, PATH, &[&from], body).await, began.elapsed())
    };
    for n in 0..10 {
        ask(n, &body(&ada.email, "not the password")).await.0.refuses(401, "unauthorized");
    }
    let (answer, took) = ask(10, &ada.credentials()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(took >= Duration::from_millis(200), "{took:?}");
    // The same for an account that does not exist.
    for n in 0..10 {
        ask(n, &body("nobody@example.com", "not the password")).await.0.refuses(401, "unauthorized");
    }
    let (answer, took) = ask(10, &body("nobody@example.com", PASSWORD)).await;
    answer.refuses(401, "unauthorized");
    assert!(took >= Duration::from_millis(200), "{took:?}");
}

#[tokio::test]
async fn a_browser_that_has_signed_in_before_is_not_locked_by_others() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let eve = world.person("eve").await;
    let known = async |person: &Person| {
        let cookies = cookies_of(&post(world.address, PATH, &[], &person.credentials()).await);
        format!("Cookie: {}", cookies.split("; ").find(|cookie| cookie.starts_with("tollgate_known=")).unwrap())
    };
    let of_ada = known(&ada).await;
    let of_eve = known(&eve).await;
    let ask = async |cookie: &str, body: &str| post(world.address, PATH, &[cookie, ORIGIN], body).await;
    while post(world.address, PATH, &[], &body(&ada.email, "wrong")).await.status == 401 {}
    post(world.address, PATH, &[], &ada.credentials()).await.refuses(429, "rate_limited");
    let answer = ask(&of_ada, &ada.credentials()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // The cookie is bound to its user, and permits nothing else.
    ask(&of_eve, &ada.credentials()).await.refuses(429, "rate_limited");
    ask(&of_ada.replace("=e", "=f"), &ada.credentials()).await.refuses(429, "rate_limited");
    let token = of_ada.split_once('=').unwrap().1;
    world.me(&format!("Authorization: Bearer {token}")).await.refuses(401, "unauthorized");
    world.me(&format!("Cookie: tollgate_session={token}")).await.refuses(401, "unauthorized");
    let as_known = format!("Cookie: tollgate_known={}", world.sign_in(&eve).await.access);
    ask(&as_known, &ada.credentials()).await.refuses(429, "rate_limited");
    // Wrong passwords of the browser itself count, for this browser only.
    for _ in 0..9 {
        ask(&of_ada, &body(&ada.email, "wrong")).await.refuses(401, "unauthorized");
    }
    ask(&of_ada, &ada.credentials()).await.refuses(429, "rate_limited");
    world.clock.advance(Duration::from_secs(181 * 86_400));
    while post(world.address, PATH, &[], &body(&ada.email, "wrong")).await.status == 401 {}
    ask(&of_ada, &ada.credentials()).await.refuses(429, "rate_limited");
}

#[tokio::test]
async fn a_new_password_ends_the_browsers_that_know_the_old_one() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let known = |answer: &Answer| {
        let cookies = cookies_of(answer);
        let known = cookies.split("; ").find(|cookie| cookie.starts_with("tollgate_known="));
        format!("Cookie: {}", known.unwrap_or_else(|| panic!("{answer:?}")))
    };
    let of_other = known(&post(world.address, PATH, &[], &ada.credentials()).await);
    let session = world.sign_in(&ada).await;
    let new = "another horse, same battery";
    let change = json!({"current": PASSWORD, "new": new}).to_string();
    let changed = post(world.address, "/api/auth/password", &[&session.cookie(), ORIGIN], &change).await;
    let own = known(&changed);
    while post(world.address, PATH, &[], &body(&ada.email, "wrong")).await.status == 401 {}
    let sign_in = async |cookie: &str| post(world.address, PATH, &[cookie, ORIGIN], &body(&ada.email, new)).await;
    sign_in(&of_other).await.refuses(429, "rate_limited");
    assert_eq!(sign_in(&own).await.status, 200, "the browser of the change stays known");
}

#[tokio::test]
async fn attempts_are_limited_by_address_and_a_success_changes_nothing_for_others() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    for n in 0..30 {
        match n % 10 {
            0 => drop(world.sign_in(&ada).await),
            _ => drop(post(world.address, PATH, &[], &body(&format!("{n}@example.com"), "wrong").clone()).await),
        }
    }
    post(world.address, PATH, &[], &ada.credentials()).await.refuses(429, "rate_limited");
    post(world.address, PATH, &[], "{\"key\":\"tollgate_x\"}").await.refuses(429, "rate_limited");
}

#[tokio::test]
async fn a_flood_of_sign_ins_is_refused_and_other_calls_are_served() {
    // On a busy machine, the last requests of the queue are served late.
    let limits = ServerLimits { call: Duration::from_secs(180), ..ServerLimits::default() };
    let world = World::start_with("127.0.0.1:0", limits).await;
    world.configure(|snapshot| snapshot.traffic.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]);
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    let mut storm = JoinSet::new();
    for n in 0..150_u8 {
        let address = world.address;
        storm.spawn(async move {
            let from = format!("X-Forwarded-For: 203.0.113.{n}");
            post(address, PATH, &[&from], &body(&format!("{n}@example.com"), "not the password")).await
        });
    }
    for _ in 0..10 {
        assert_eq!(world.me(&session.bearer()).await.status, 200);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut answers = Vec::new();
    while let Some(answer) = storm.try_join_next() {
        answers.push(answer.unwrap());
    }
    // On a slow machine the storm is slow as well: a sign-in that waited would finish after it.
    assert!(!storm.is_empty(), "the other requests finished first");
    answers.extend(storm.join_all().await);
    let mut refused = 0;
    for answer in answers {
        if answer.status == 503 {
            answer.refuses(503, "overloaded");
            assert_eq!(answer.headers["retry-after"], "1");
            refused += 1;
        } else {
            answer.refuses(401, "unauthorized");
        }
    }
    assert!(refused > 0, "at most 64 jobs wait");
    assert_eq!(world.count("api_passwords_refused_total").await, refused);
    world.sign_in(&ada).await;
}

#[tokio::test]
async fn without_the_store_sessions_neither_begin_nor_continue() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    assert_eq!(world.me(&session.bearer()).await.status, 200);
    world.store.close().await;
    post(world.address, PATH, &[], &ada.credentials()).await.refuses(503, "unavailable");
    world.clock.advance(Duration::from_secs(1));
    world.me(&session.bearer()).await.refuses(503, "unavailable");
}
