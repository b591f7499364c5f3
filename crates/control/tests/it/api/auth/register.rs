use std::time::Duration;

use access::credentials::ticket;
use access::{Ticket, Timestamp};
use config::snapshot::SignupMode;
use serde_json::{Value, json};
use store::{Email, NewLink, Purpose};
use tokio::time::Instant;

use crate::client::{Answer, post};
use crate::person::{BrowserSession, PASSWORD, cookies_of, shape};
use crate::world::World;

const PATH: &str = "/api/auth/register";

async fn world(mode: SignupMode) -> World {
    let world = World::start().await;
    world.configure(|snapshot| snapshot.traffic.signup.mode = mode);
    world
}

fn body(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "name": "Ada"})
}

async fn register(world: &World, body: &Value) -> Answer {
    post(world.address, PATH, &[], &body.to_string()).await
}

impl World {
    /// Creates an invitation and returns its token.
    pub(crate) async fn invite(&self, email: Option<&str>, plan: Option<&str>) -> String {
        let email = email.map(|email| Email::parse(email).unwrap());
        self.link(Purpose::Invite { email, plan: plan.map(str::to_owned) }).await
    }

    /// Creates a link that is valid for a day, and returns its token.
    pub(crate) async fn link(&self, purpose: Purpose) -> String {
        let ticket = Ticket::generate(ticket::TicketKind::Link).unwrap();
        let expires_at = Timestamp(self.clock.now().0 + 86_400_000_000);
        let new = NewLink { purpose, hash: ticket.hash(), expires_at };
        self.store.make_link(&store::Actor::COMMAND, new).await.unwrap();
        ticket.expose().to_owned()
    }
}

#[tokio::test]
async fn sign_up_is_refused_if_it_is_closed() {
    let world = world(SignupMode::Closed).await;
    let before = world.count("api_passwords_hashed_total").await;
    register(&world, &body("ada@example.com")).await.refuses(403, "signup_closed");
    let mut invited = body("ada@example.com");
    invited["invite"] = world.invite(None, None).await.into();
    register(&world, &invited).await.refuses(403, "signup_closed");
    assert_eq!(world.count("api_passwords_hashed_total").await, before);
    assert_eq!(world.store.users().await.unwrap().len(), 0);
}

#[tokio::test]
async fn open_sign_up_creates_an_account_and_a_session() {
    let world = world(SignupMode::Open).await;
    let mut requested = body(" Ada@Example.com ");
    requested["refresh"] = true.into();
    let answer = register(&world, &requested).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let user = &answer.json()["user"];
    assert_eq!(
        (&user["email"], &user["name"], &user["plan"], &user["role"]),
        (&json!("ada@example.com"), &json!("Ada"), &json!("starter"), &json!("member"))
    );
    let session = BrowserSession::read(&answer);
    for header in [session.bearer(), session.cookie()] {
        assert_eq!(world.me(&header).await.json()["user"], *user);
    }
    assert_eq!(post(world.address, "/api/auth/refresh", &[], &session.renewal()).await.status, 200);
    let again = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
    assert_eq!(post(world.address, "/api/auth/login", &[], &again).await.status, 200);
}

#[tokio::test]
async fn an_invitation_works_once_and_brings_its_plan() {
    let world = world(SignupMode::Invite).await;
    register(&world, &body("ada@example.com")).await.refuses(403, "signup_closed");
    let mut invited = body("ada@example.com");
    invited["invite"] = world.invite(None, Some("endless")).await.into();
    let answer = register(&world, &invited).await;
    assert_eq!((answer.status, &answer.json()["user"]["plan"]), (201, &json!("endless")));
    invited["email"] = "bob@example.com".into();
    register(&world, &invited).await.refuses(403, "signup_closed");
}

#[tokio::test]
async fn all_invalid_invitations_have_the_same_response() {
    let world = world(SignupMode::Invite).await;
    let ada = world.person("ada").await;
    let bound = world.invite(Some("eve@example.com"), None).await;
    let old = world.invite(None, None).await;
    let other_kind = world.link(Purpose::Password { user: ada.user }).await;
    world.clock.advance(Duration::from_secs(86_400));
    let bound_now = world.invite(Some("eve@example.com"), None).await;
    let mut bodies = Vec::new();
    for token in ["", "x", &format!("tgl_{}", "A".repeat(43)), &bound, &old, &other_kind, &bound_now] {
        let mut requested = body("bob@example.com");
        requested["invite"] = token.into();
        let answer = register(&world, &requested).await;
        answer.refuses(403, "signup_closed");
        bodies.push(answer.body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
    let mut requested = body("EVE@example.com");
    requested["invite"] = bound_now.into();
    assert_eq!(register(&world, &requested).await.status, 201);
}

#[tokio::test]
async fn an_invitation_for_a_taken_address_is_refused_and_stays_valid() {
    let world = world(SignupMode::Invite).await;
    world.person("ada").await;
    let token = world.invite(Some("ada@example.com"), None).await;
    let mut requested = body("ada@example.com");
    requested["invite"] = token.clone().into();
    assert!(register(&world, &requested).await.refuses(409, "conflict").contains("sign in"));
    let check = post(world.address, "/api/auth/link/check", &[], &json!({"token": token}).to_string()).await;
    assert_eq!(check.status, 200, "{check:?}");
}

#[tokio::test]
async fn a_taken_address_has_the_response_of_a_free_one() {
    let world = world(SignupMode::Open).await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    let before = world.count("api_passwords_hashed_total").await;
    let mut answers = Vec::new();
    for email in ["ada@example.com", "bob@example.com", "ADA@example.com", "eve@example.com"] {
        let mut requested = body(email);
        requested["password"] = "a password of somebody's".into();
        let answer = register(&world, &requested).await;
        assert_eq!((answer.status, &answer.json()["user"]["email"]), (201, &json!(email.to_lowercase())));
        let lengths: Vec<usize> = answer.cookies.iter().map(String::len).collect();
        answers.push((answer, lengths));
    }
    let of_first = (shape(&answers[0].0), answers[0].1.clone());
    for (answer, lengths) in &answers {
        assert_eq!((shape(answer), lengths.clone()), of_first);
    }
    assert_eq!(world.count("api_passwords_hashed_total").await - before, 4, "the same work");

    // The owner's account is untouched, and the tokens are invalid.
    let taken = format!("Cookie: {}", cookies_of(&answers[0].0));
    world.me(&taken).await.refuses(401, "token_expired");
    assert_eq!(world.me(&format!("Cookie: {}", cookies_of(&answers[1].0))).await.status, 200);
    assert_eq!(world.me(&session.bearer()).await.status, 200);
    world.sign_in(&ada).await;
    assert_eq!(world.store.users().await.unwrap().len(), 3);
}

#[tokio::test]
async fn response_times_do_not_reveal_taken_addresses() {
    let world = world(SignupMode::Open).await;
    world.person("ada").await;
    // The minimum of many measurements, taken alternately, because other load only makes them slower.
    let mut taken = Duration::MAX;
    let mut free = Duration::MAX;
    for round in 0..60 {
        if round % 5 == 0 {
            world.forget_attempts();
        }
        let new = format!("free{round}@example.com");
        for (email, least) in [("ada@example.com", &mut taken), (new.as_str(), &mut free)] {
            let requested = body(email);
            let began = Instant::now();
            assert_eq!(register(&world, &requested).await.status, 201);
            *least = began.elapsed().min(*least);
        }
        if round >= 3 && (0.67..1.5).contains(&(taken.as_secs_f64() / free.as_secs_f64())) {
            return;
        }
    }
    panic!("taken {taken:?}, free {free:?}");
}

#[tokio::test]
async fn invalid_account_data_is_refused_per_field() {
    let world = world(SignupMode::Open).await;
    let check = async |field: &str, values: &[&str]| {
        for value in values {
            let mut requested = body("ada@example.com");
            requested[field] = (*value).into();
            let message = register(&world, &requested).await.refuses(422, "unprocessable");
            assert!(message.starts_with(&format!("`{field}`")), "{value:?}: {message}");
        }
    };
    let long = format!("{}@example.com", "x".repeat(250));
    check(
        "email",
        &[
            "",
            "ada",
            "@example.com",
            "ada@",
            "a@@b",
            "a da@example.com",
            "a\0@example.com",
            "a\n@example.com",
            "ad\u{200b}a@example.com",
            "\u{202e}ada@example.com",
            &long,
        ],
    )
    .await;
    let easy = ["password1234", "\0\0\0\0\0\0\0\0\0\0\0\0", "ada@example.com", "ada.EXAMPLE.com", "Tollgate2026!"];
    check("password", &[&["", "eleven char", &"x".repeat(129)][..], &easy].concat()).await;
    check(
        "name",
        &["", "   ", "a\0b", "a\nb", "\u{1b}[31m", "ad\u{200b}a", "\u{202e}ada", "a\u{200d}da", &"x".repeat(201)],
    )
    .await;
    for missing in ["email", "password", "name"] {
        let mut requested = body("ada@example.com");
        requested.as_object_mut().unwrap().remove(missing);
        let message = register(&world, &requested).await.refuses(400, "bad_request");
        assert!(message.contains(&format!("missing field `{missing}`")), "{message}");
    }
    let mut requested = body("ada@example.com");
    requested["role"] = "admin".into();
    assert!(register(&world, &requested).await.refuses(400, "bad_request").contains("unknown field `role`"));
    assert_eq!(world.store.users().await.unwrap().len(), 0);
}

#[tokio::test]
async fn names_are_of_any_script() {
    let world = world(SignupMode::Open).await;
    for (n, name) in
        ["שלום עולם", "مرحبا", "Ada 👩\u{200d}💻", "علی\u{200c}رضا", "'; DROP TABLE users; --", &"é".repeat(200)]
            .iter()
            .enumerate()
    {
        let requested = json!({"email": format!("n{n}@example.com"), "password": PASSWORD, "name": name});
        let answer = register(&world, &requested).await;
        assert_eq!((answer.status, answer.json()["user"]["name"].as_str()), (201, Some(*name)), "{answer:?}");
    }
}

#[tokio::test]
async fn sign_ups_count_as_attempts() {
    let world = world(SignupMode::Open).await;
    for n in 0..30 {
        let login = json!({"email": format!("n{n}@example.com"), "password": "x"}).to_string();
        post(world.address, "/api/auth/login", &[], &login).await.refuses(401, "unauthorized");
    }
    let answer = register(&world, &body("ada@example.com")).await;
    answer.refuses(429, "rate_limited");
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_missing_plan_is_an_internal_error() {
    let world = world(SignupMode::Open).await;
    world.configure(|snapshot| snapshot.traffic.signup.plan = "gone".to_owned());
    let message = register(&world, &body("ada@example.com")).await.refuses(500, "internal");
    assert!(!message.contains("gone"), "{message}");
}
