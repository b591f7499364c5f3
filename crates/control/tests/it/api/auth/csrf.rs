use serde_json::json;

use crate::client::{call, get, post};
use crate::person::{BrowserSession, PASSWORD};
use crate::world::World;

/// Checks whether a request with these header fields may change something with a cookie, and sign in without one.
async fn check(world: &World, session: &BrowserSession, headers: &[&str], by_cookie: bool, signs_in: bool) {
    let cookie = session.cookie();
    let headers =
        |with: &[&'static str]| -> Vec<String> { headers.iter().chain(with).map(|line| (*line).to_owned()).collect() };
    let path = "/api/sessions/0199aa00-0000-7000-8000-000000000000";
    let lines = headers(&[]);
    let json_lines = headers(&["Content-Type: application/json"]);
    let mut with: Vec<&str> = lines.iter().map(String::as_str).collect();
    with.push(&cookie);
    let deleted = call(world.address, &format!("DELETE {path}"), &with, "").await;
    if by_cookie {
        deleted.refuses(404, "not_found")
    } else {
        deleted.refuses(403, "forbidden")
    };

    let with: Vec<&str> = json_lines.iter().map(String::as_str).collect();
    let body = json!({"email": "nobody@example.com", "password": PASSWORD}).to_string();
    world.forget_attempts();
    let signed = call(world.address, "POST /api/auth/login", &with, &body).await;
    if signs_in {
        signed.refuses(401, "unauthorized")
    } else {
        signed.refuses(403, "forbidden")
    };
}

#[tokio::test]
async fn only_pages_of_allowed_origins_change_data_with_a_cookie() {
    let world = World::start().await;
    world.configure(|snapshot| {
        snapshot.process.control.allowed_origins = vec!["http://localhost:3000".to_owned()];
        snapshot.process.public_url.control = Some("http://gate.internal:8787".to_owned());
    });
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    let own = format!("Origin: http://{}", world.address);
    let cases: &[(&[&str], bool, bool)] = &[
        (&["Sec-Fetch-Site: same-origin"], true, true),
        (&["Sec-Fetch-Site: none"], true, true),
        (&["Sec-Fetch-Site: same-site"], false, false),
        (&["Sec-Fetch-Site: cross-site"], false, false),
        (&["Sec-Fetch-Site: same-site", "Origin: http://localhost:3000"], true, true),
        (&["Sec-Fetch-Site: cross-site", "Origin: http://localhost:3000"], true, true),
        (&["Sec-Fetch-Site: same-site", "Origin: http://localhost:9999"], false, false),
        (&["Sec-Fetch-Site: same-site", &own], true, true),
        (&["Sec-Fetch-Site: cross-site", &own], false, false),
        (&[&own], true, true),
        (&["Origin: http://gate.internal:8787"], true, true),
        (&["Origin: http://localhost:3000"], true, true),
        (&["Origin: https://evil.example"], false, false),
        (&["Origin: null"], false, false),
        (&["Origin: http://localhost:3000", "Origin: https://evil.example"], false, false),
        (&["Sec-Fetch-Site: bogus"], false, false),
        (&[], false, true),
        (&["Referer: http://localhost:3000/"], false, true),
    ];
    for (headers, by_cookie, signs_in) in cases {
        check(&world, &session, headers, *by_cookie, *signs_in).await;
    }
}

#[tokio::test]
async fn every_change_with_a_cookie_is_checked() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    let id = world.me(&session.bearer()).await.json()["session_id"].as_str().unwrap().to_owned();
    let own = format!("/api/sessions/{id}");
    let change = json!({"current": PASSWORD, "new": "another horse, same battery"}).to_string();
    for site in
        ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.example", "X-Nothing: 1"]
    {
        let cookie = session.cookie();
        let headers = [cookie.as_str(), site];
        call(world.address, &format!("DELETE {own}"), &headers, "").await.refuses(403, "forbidden");
        call(world.address, "POST /api/auth/logout", &headers, "").await.refuses(403, "forbidden");
        call(world.address, "POST /api/auth/refresh", &headers, "").await.refuses(403, "forbidden");
        post(world.address, "/api/auth/password", &headers, &change).await.refuses(403, "forbidden");
        post(world.address, "/api/auth/login", &headers, &ada.credentials()).await.refuses(403, "forbidden");
    }
    assert_eq!(
        world.me(&session.cookie()).await.status,
        200,
        "reading is allowed, because no other page sees the response"
    );
    assert_eq!(post(world.address, "/api/auth/refresh", &[], &session.renewal()).await.status, 200);
}

#[tokio::test]
async fn an_authorization_header_precedes_a_cookie_and_needs_no_origin() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let bob = world.holder("bob", "starter").await;
    let session = world.sign_in(&ada).await;
    let evil = "Sec-Fetch-Site: cross-site";
    let who = async |headers: &[&str]| {
        let answer = get(world.address, "/api/me", headers).await;
        answer.json()["user"]["email"].as_str().map(str::to_owned)
    };
    assert_eq!(who(&[&bob.bearer(), &session.cookie()]).await.as_deref(), Some("bob@example.com"));
    let header = format!("X-API-Key: {}", bob.secret);
    assert_eq!(who(&[&header, &session.cookie()]).await.as_deref(), Some("bob@example.com"));
    assert_eq!(who(&[&session.bearer(), &session.cookie()]).await.as_deref(), Some("ada@example.com"));
    let line = "DELETE /api/sessions/0199aa00-0000-7000-8000-000000000000";
    call(world.address, line, &[&bob.bearer(), &session.cookie(), evil], "").await.refuses(404, "not_found");

    // A cookie does not replace an invalid credential.
    for wrong in ["Authorization: Bearer a.b.c", "Authorization: Basic YTpi", "X-API-Key: nonsense"] {
        let answer = get(world.address, "/api/me", &[wrong, &session.cookie()]).await;
        assert_eq!(answer.status, 401, "{wrong}: {answer:?}");
    }
    let bearer = bob.bearer();
    let header = format!("X-API-Key: {}", session.access);
    get(world.address, "/api/me", &[&bearer, &header]).await.refuses(400, "ambiguous_credentials");
}
