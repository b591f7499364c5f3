//! Users who sign in with a password.

use std::sync::LazyLock;
use std::time::Duration;

use access::credentials::password::{self, Password};
use access::{ApiKey, Role, Secret, Timestamp, UserId};
use serde_json::{Value, json};
use store::{Email, NewKey, NewUser};

use crate::client::{Answer, call, get, post};
use crate::world::World;

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const ORIGIN: &str = "Sec-Fetch-Site: same-origin";

static PHC: LazyLock<Secret> = LazyLock::new(|| {
    let chosen = Password::parse(Secret::new(PASSWORD.to_owned()), &[]).unwrap();
    password::hash(&chosen).unwrap()
});

/// A user whose password is [`PASSWORD`].
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) email: String,
}

/// The tokens and cookies of a sign-in.
#[derive(Debug, Clone)]
pub(crate) struct BrowserSession {
    pub(crate) access: String,
    pub(crate) refresh: String,
    /// Both cookies, as a browser sends them.
    pub(crate) cookies: String,
}

impl Person {
    pub(crate) fn credentials(&self) -> String {
        json!({"email": self.email, "password": PASSWORD, "refresh": true}).to_string()
    }
}

impl BrowserSession {
    /// Reads the response to a sign-in that requested a refresh token.
    pub(crate) fn read(answer: &Answer) -> Self {
        let body = answer.json();
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name}: {answer:?}")).to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token"), cookies: cookies_of(answer) }
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.access)
    }

    pub(crate) fn cookie(&self) -> String {
        format!("Cookie: {}", self.cookies)
    }

    /// Returns the body of a renewal.
    pub(crate) fn renewal(&self) -> String {
        json!({"refresh_token": self.refresh}).to_string()
    }
}

/// Returns the cookies that a browser stores from a response, in the form in which it sends them.
pub(crate) fn cookies_of(answer: &Answer) -> String {
    answer.cookies.iter().map(|line| line.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

impl World {
    pub(crate) async fn person(&self, name: &str) -> Person {
        self.person_with(name, Role::Member).await
    }

    pub(crate) async fn person_with(&self, name: &str, role: Role) -> Person {
        let email = format!("{name}@example.com");
        let new = NewUser::member(Email::parse(&email).unwrap(), name, "starter");
        let new = NewUser { role, password: Some(PHC.clone()), ..new };
        let user = self.store.create_user(&store::Actor::COMMAND, new).await.unwrap().id;
        Person { user, email }
    }

    /// Creates a key of a user.
    pub(crate) async fn key_of(&self, user: UserId, label: &str, expires_at: Option<Timestamp>) -> String {
        let key = ApiKey::generate("tollgate").unwrap();
        let new = NewKey { expires_at, ..NewKey::unbounded(user, label, &key) };
        self.store.create_key(&store::Actor::COMMAND, new).await.unwrap();
        self.refresh().await;
        key.expose().to_owned()
    }

    pub(crate) async fn sign_in(&self, person: &Person) -> BrowserSession {
        let answer = post(self.address, "/api/auth/login", &[], &person.credentials()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        BrowserSession::read(&answer)
    }

    pub(crate) async fn me(&self, header: &str) -> Answer {
        get(self.address, "/api/me", &[header]).await
    }

    /// Returns a counter of `/metrics`.
    pub(crate) async fn count(&self, name: &str) -> u64 {
        let text = get(self.address, "/metrics", &[]).await.body;
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Advances the clock until no sign-in attempt counts any more.
    pub(crate) fn forget_attempts(&self) {
        self.clock.advance(Duration::from_secs(30 * 60));
    }
}

/// Sends a `POST` request without a body.
pub(crate) async fn send(world: &World, path: &str, headers: &[&str]) -> Answer {
    call(world.address, &format!("POST {path}"), headers, "").await
}

/// Returns a response without the parts that differ from run to run.
pub(crate) fn shape(answer: &Answer) -> (u16, Vec<String>, Vec<String>) {
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let body = answer.json();
    let mut fields = names(&body);
    if body["user"].is_object() {
        fields.extend(names(&body["user"]));
    }
    let mut headers: Vec<String> = answer.headers.keys().cloned().collect();
    headers.sort();
    (answer.status, fields, headers)
}
