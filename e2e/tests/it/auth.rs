//! Registration, sign-in and sign-out against the built binary: `/api/auth/…`, `/api/me`, `/api/sessions`.

use e2e::client::Answer;
use e2e::{Call, Gateway, Setup, commands, text};
use serde_json::{Value, json};

use crate::store::number;

const PASSWORD: &str = "correct horse battery";
const NEW: &str = "another horse, same battery";
const ROOT: &str = "root@example.com";
const OWN_PAGE: (&str, &str) = ("sec-fetch-site", "same-origin");

async fn open(mode: &str) -> Gateway {
    Gateway::start(Setup::mocked().section("signup", mode).section("signup_plan", "open")).await
}

fn who(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password, "refresh": true})
}

fn newcomer(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "name": "Ada", "refresh": true})
}

/// Returns the `Cookie` value that a browser sends after a response.
fn cookies(answer: &Answer) -> String {
    let set = answer.head.all("set-cookie");
    set.iter().map(|line| line.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

async fn post(gateway: &Gateway, path: &str, body: &Value) -> Answer {
    gateway.ask(Call::json(path, body)).await
}

async fn me(gateway: &Gateway, token: &str) -> Answer {
    gateway.ask(Call::get("/api/me").key(token)).await
}

fn code(answer: &Answer) -> String {
    text(&answer.json()["error"]["code"])
}

/// Creates an admin and returns an access token.
async fn admin(gateway: &Gateway) -> String {
    let data = gateway.folder().data().display().to_string();
    let create = ["users", "create", "--email", ROOT, "--plan", "open", "--admin", "--password-stdin", "--data", &data];
    let output = commands::run_with_input(gateway.folder(), &create, PASSWORD.as_bytes()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text(&post(gateway, "/api/auth/login", &who(ROOT, PASSWORD)).await.expect(200).json()["access_token"])
}

#[tokio::test]
async fn a_user_signs_up_renews_the_session_and_signs_out() {
    let gateway = open("open").await;
    let created = post(&gateway, "/api/auth/register", &newcomer("ada@example.com")).await.expect(201).json();
    let access = text(&created["access_token"]);
    let refresh = text(&created["refresh_token"]);
    assert_eq!(me(&gateway, &access).await.expect(200).json()["user"], created["user"]);

    let renewal = json!({"refresh_token": refresh});
    let next = post(&gateway, "/api/auth/refresh", &renewal).await.expect(200).json();
    let next_access = text(&next["access_token"]);
    let sessions = gateway.ask(Call::get("/api/sessions").key(&next_access)).await.expect(200).json();
    assert_eq!((sessions["items"].as_array().unwrap().len(), &sessions["items"][0]["current"]), (1, &json!(true)));

    assert_eq!(code(&post(&gateway, "/api/auth/refresh", &renewal).await.expect(401)), "token_expired");
    assert_eq!(
        code(&me(&gateway, &next_access).await.expect(401)),
        "token_expired",
        "a refresh token was used twice, so its session ended"
    );

    let again = post(&gateway, "/api/auth/login", &who("ADA@example.com", PASSWORD)).await.expect(200).json();
    let again = text(&again["access_token"]);
    gateway.ask(Call::json("/api/auth/logout", &json!({"refresh_token": "tgr_x"})).key(&again)).await.expect(200);
    assert_eq!(code(&me(&gateway, &again).await.expect(401)), "token_expired");
    let theft = "SELECT count(*) FROM audit_log WHERE action = 'session.theft'";
    assert_eq!(number(gateway.folder(), theft).await, 1);
}

#[tokio::test]
async fn a_browser_is_known_by_cookies_that_other_pages_cannot_use() {
    let gateway = open("open").await;
    let answer = post(&gateway, "/api/auth/register", &newcomer("ada@example.com")).await.expect(201);
    let cookie = cookies(&answer);
    assert!(answer.head.all("set-cookie").iter().all(|line| line.contains("; HttpOnly; SameSite=Strict")));
    let with = |call: Call| call.header("cookie", &cookie);
    gateway.ask(with(Call::get("/api/me"))).await.expect(200);
    for site in ["cross-site", "same-site"] {
        let signed_out = gateway.ask(with(Call::new("POST", "/api/auth/logout")).header("sec-fetch-site", site)).await;
        assert_eq!(code(&signed_out.expect(403)), "forbidden");
    }
    let renewed =
        gateway.ask(with(Call::new("POST", "/api/auth/refresh")).header(OWN_PAGE.0, OWN_PAGE.1)).await.expect(200);
    let renewed = cookies(&renewed);
    assert_ne!(renewed, cookie);
    let out = Call::new("POST", "/api/auth/logout").header("cookie", &renewed).header(OWN_PAGE.0, OWN_PAGE.1);
    gateway.ask(out).await.expect(200);
    assert_eq!(code(&gateway.ask(Call::get("/api/me").header("cookie", &renewed)).await.expect(401)), "token_expired");
}

#[tokio::test]
async fn a_changed_password_ends_other_sessions() {
    let gateway = open("open").await;
    let created = post(&gateway, "/api/auth/register", &newcomer("ada@example.com")).await.expect(201).json();
    let own = text(&created["access_token"]);
    let login = async |password: &str| post(&gateway, "/api/auth/login", &who("ada@example.com", password)).await;
    let other = text(&login(PASSWORD).await.expect(200).json()["access_token"]);
    let change = |current: &str| Call::json("/api/auth/password", &json!({"current": current, "new": NEW})).key(&own);
    assert_eq!(code(&gateway.ask(change("not the password")).await.expect(403)), "forbidden");
    gateway.ask(change(PASSWORD)).await.expect(200);
    assert_eq!(code(&me(&gateway, &other).await.expect(401)), "token_expired");
    me(&gateway, &own).await.expect(200);
    assert_eq!(code(&login(PASSWORD).await.expect(401)), "unauthorized");
    login(NEW).await.expect(200);
}

#[tokio::test]
async fn a_key_signs_in_for_as_long_as_it_is_in_force() {
    let gateway = open("open").await;
    let created = post(&gateway, "/api/auth/register", &newcomer("ada@example.com")).await.expect(201).json();
    let own = text(&created["access_token"]);
    let key = gateway.ask(Call::json("/api/keys", &json!({"label": "laptop"})).key(&own)).await.expect(201).json();
    let by_key = post(&gateway, "/api/auth/login", &json!({"key": key["key"]})).await.expect(200).json();
    let by_key = text(&by_key["access_token"]);
    assert_eq!(me(&gateway, &by_key).await.expect(200).json()["key_id"], key["id"]);
    let change = json!({"current": PASSWORD, "new": NEW});
    assert_eq!(
        code(&gateway.ask(Call::json("/api/auth/password", &change).key(&by_key)).await.expect(403)),
        "forbidden"
    );
    gateway.ask(Call::new("DELETE", &format!("/api/keys/{}", text(&key["id"]))).key(&own)).await.expect(204);
    let refused = e2e::eventually("the session of a revoked key is refused", async || {
        let answer = me(&gateway, &by_key).await;
        (answer.status() == 401).then_some(answer)
    });
    let code = code(&refused.await);
    assert!(["key_revoked", "token_expired"].contains(&code.as_str()), "{code}");
}

#[tokio::test]
async fn sign_up_mode_is_configured_and_taken_addresses_are_not_revealed() {
    let closed = open("closed").await;
    let answer = post(&closed, "/api/auth/register", &newcomer("ada@example.com")).await.expect(403);
    assert_eq!(code(&answer), "signup_closed");

    let gateway = open("invite").await;
    let answer = post(&gateway, "/api/auth/register", &newcomer("ada@example.com")).await.expect(403);
    assert_eq!(code(&answer), "signup_closed");
    let root = admin(&gateway).await;
    let invite = async |email: Option<&str>| {
        let created =
            gateway.ask(Call::json("/api/invites", &json!({"email": email})).key(&root)).await.expect(201).json();
        text(&created["url"]).split_once("/link#").unwrap().1.to_owned()
    };
    let mut requested = newcomer("ada@example.com");
    requested["invite"] = invite(None).await.into();
    post(&gateway, "/api/auth/register", &requested).await.expect(201);
    requested["email"] = "eve@example.com".into();
    assert_eq!(
        code(&post(&gateway, "/api/auth/register", &requested).await.expect(403)),
        "signup_closed",
        "the invite was used already"
    );

    let mut taken = newcomer("ada@example.com");
    taken["invite"] = invite(Some("ada@example.com")).await.into();
    assert_eq!(code(&post(&gateway, "/api/auth/register", &taken).await.expect(409)), "conflict");
    taken["invite"] = invite(None).await.into();
    let answer = post(&gateway, "/api/auth/register", &taken).await.expect(201).json();
    assert_eq!(code(&me(&gateway, &text(&answer["access_token"])).await.expect(401)), "token_expired");
    assert_eq!(number(gateway.folder(), "SELECT count(*) FROM users").await, 2);
}

#[tokio::test]
async fn one_time_links_make_the_first_admin_and_choose_passwords() {
    let gateway = open("closed").await;
    let printed = crate::audit::must(gateway.folder(), &["setup-link"]).await;
    let token = printed.split_once("/link#").unwrap().1.split_whitespace().next().unwrap().to_owned();
    let checked = post(&gateway, "/api/auth/link/check", &json!({"token": token})).await.expect(200).json();
    assert_eq!(checked["kind"], "first_admin");
    let chosen = json!({"token": token, "password": PASSWORD, "name": "Root", "email": ROOT});
    let created = post(&gateway, "/api/auth/link", &chosen).await.expect(200).json();
    assert_eq!(created["user"]["role"], "admin");
    assert_eq!(code(&post(&gateway, "/api/auth/link", &chosen).await.expect(404)), "not_found");
    let root = post(&gateway, "/api/auth/login", &who(ROOT, PASSWORD)).await.expect(200).json();
    let root = text(&root["access_token"]);
    assert_eq!(me(&gateway, &root).await.expect(200).json()["acts_as"], "admin");

    let forgot = format!("/api/users/{}/password-link", text(&created["user"]["id"]));
    let link = gateway.ask(Call::new("POST", &forgot).key(&root)).await.expect(201).json();
    let token = text(&link["url"]).split_once("/link#").unwrap().1.to_owned();
    post(&gateway, "/api/auth/link", &json!({"token": token, "password": NEW})).await.expect(200);
    assert_eq!(code(&me(&gateway, &root).await.expect(401)), "token_expired");
    post(&gateway, "/api/auth/login", &who(ROOT, NEW)).await.expect(200);
    let page = Call::get("/link").send(gateway.control).await.expect(200);
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'")));
}

#[tokio::test]
async fn guessing_is_limited_and_reveals_nothing() {
    let gateway = open("open").await;
    post(&gateway, "/api/auth/register", &newcomer("ada@example.com")).await.expect(201);
    let mut reported = Vec::new();
    for email in ["ada@example.com", "nobody@example.com"] {
        let mut answers = Vec::new();
        for _ in 0..10 {
            answers.push(post(&gateway, "/api/auth/login", &who(email, "not the password")).await.expect(401).text());
        }
        let refused = post(&gateway, "/api/auth/login", &who(email, PASSWORD)).await.expect(429);
        assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().unwrap() > 60));
        answers.dedup();
        // A sign-up gets the same response as before, whether or not the address has an account.
        post(&gateway, "/api/auth/register", &newcomer(email)).await.expect(201);
        reported.push((answers, refused.text()));
    }
    assert_eq!(reported[0], reported[1]);
    assert_eq!(reported[0].0.len(), 1);
}
