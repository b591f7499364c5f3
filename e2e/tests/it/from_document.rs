//! Sends valid and invalid requests that are generated from the OpenAPI document, as every kind of caller. No request
//! may cause an internal error, and the document must list every response.
//!
//! `TOLLGATE_TEST_REQUESTS` sets the number of requests and `TOLLGATE_TEST_SEED` the seed; a failure reports its seed.

mod chance;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use e2e::document::Operation;
use e2e::{Answer, Call, Document, Gateway, commands};
use serde_json::json;

use crate::people::open;
use chance::Chance;
use values::{TWISTS, Twist, UNKNOWN, ValueGenerator, hostile};

const REQUESTS: u64 = 2_500;
const PASSWORD: &str = "a password of the walker";
/// Maximum number of sign-ups per thousand requests; more would indicate that sessions end by themselves.
const RENEWALS_MAX: u64 = 60;
/// Operations that need a secret from a mailbox, a password that this test does not guess, the version of the settings in
/// force, or billing, which is not enabled.
const SELDOM_WELL: [&str; 52] = [
    "DELETE /api/cache",
    "GET /api/billing/profile",
    "PATCH /api/billing/profile",
    "POST /api/auth/login",
    "POST /api/auth/refresh",
    "POST /api/auth/link",
    "POST /api/auth/link/check",
    "POST /config",
    "POST /review/signoff",
    "GET /api/billing/export",
    "GET /api/billing/invoices",
    "GET /api/billing/invoices/{id}",
    "GET /api/billing/methods",
    "GET /api/billing/payments",
    "GET /api/billing/periods",
    "GET /api/billing/postings",
    "GET /api/billing/preview/html",
    "GET /api/billing/preview/pdf",
    "GET /api/invoices",
    "GET /api/invoices/{id}",
    "GET /api/invoices/{id}/html",
    "GET /api/invoices/{id}/pdf",
    "GET /api/invoices/{id}/receipt",
    "PATCH /api/invoices/{id}",
    "GET /api/webhooks",
    "POST /api/webhooks",
    "PATCH /api/webhooks/{id}",
    "DELETE /api/webhooks/{id}",
    "POST /api/webhooks/{id}/rotate",
    "GET /api/webhooks/{id}/deliveries",
    "POST /api/webhooks/{id}/deliveries/{delivery_id}/replay",
    "POST /api/webhooks/{id}/replay",
    "POST /api/webhooks/{id}/test",
    "POST /api/billing/close",
    "POST /api/billing/shadow",
    "POST /api/invoices/{id}/approve",
    "POST /api/invoices/{id}/credit-notes",
    "POST /api/invoices/{id}/refunds",
    "POST /api/invoices/{id}/void",
    "POST /api/invoices/{id}/write-off",
    "POST /api/subscription/cancel",
    "POST /api/subscription/change",
    "POST /api/subscription/preview",
    "POST /api/subscription/resume",
    "GET /api/wallet",
    "POST /api/wallet/topups",
    "POST /api/invoices/{id}/pay",
    "GET /api/payments/{id}",
    "POST /api/payments/{id}/stub",
    "GET /api/subscription",
    "POST /api/subscription",
    "POST /midtrans/notification",
];

/// The caller of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum CallerKind {
    Admin,
    Member,
    MemberByCookie,
    Key,
    Nobody,
}

const EVERYBODY: [CallerKind; 7] = [
    CallerKind::Admin,
    CallerKind::Admin,
    CallerKind::Admin,
    CallerKind::Member,
    CallerKind::MemberByCookie,
    CallerKind::Key,
    CallerKind::Nobody,
];

struct Walk<'a> {
    gateway: &'a Gateway,
    maker: ValueGenerator<'a>,
    credentials: BTreeMap<CallerKind, String>,
    renewals: usize,
    renewals_max: u64,
    /// The statuses received so far, by operation.
    statuses_of: BTreeMap<String, BTreeSet<u16>>,
}

/// A request, its description, and the unknown field that must be refused.
struct GeneratedRequest {
    call: Call,
    description: String,
    unknown: Option<&'static str>,
}

#[tokio::test]
async fn every_response_matches_the_document() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let requests = number("TOLLGATE_TEST_REQUESTS", REQUESTS);
    let seed = number("TOLLGATE_TEST_SEED", 4);
    let (gateway, _mock) = open().await;
    let document = Document::committed();
    let maker = ValueGenerator {
        document,
        chance: Chance::new(seed),
        ids: BTreeMap::new(),
        path: String::new(),
        key: String::new(),
    };
    let mut walk = Walk {
        gateway: &gateway,
        maker,
        credentials: BTreeMap::new(),
        renewals: 0,
        renewals_max: RENEWALS_MAX * requests.div_ceil(1_000),
        statuses_of: BTreeMap::new(),
    };
    let mut operations = document.operations();
    // Streams have tests of their own.
    operations.retain(|operation| !operation.is_stream());
    for nth in 0..requests {
        let operation = operations[usize::try_from(nth).unwrap() % operations.len()];
        let who = *walk.maker.chance.one(&EVERYBODY);
        if let Err(wrong) = walk.ask(operation, who).await {
            panic!("request {nth} of TOLLGATE_TEST_SEED={seed}: {wrong}");
        }
    }
    walk.tell(requests);
}

impl Walk<'_> {
    async fn ask(&mut self, operation: Operation<'_>, who: CallerKind) -> Result<(), String> {
        let credential = self.credential(who).await;
        self.maker.key = self.credential(CallerKind::Key).await.unwrap_or_default();
        operation.path.clone_into(&mut self.maker.path);
        let GeneratedRequest { call, description, unknown } = self.generate(operation);
        let answer = as_who(call, who, credential.as_deref()).send(self.gateway.control).await;
        let wrong = |why: String| {
            format!("{description} as {who:?} is answered {} {}: {why}", answer.status(), cut(&answer.text()))
        };
        if answer.status() >= 500 {
            return Err(wrong("an internal error".to_owned()));
        }
        operation.check(&answer).map_err(|why| format!("{description} as {who:?}: {}", cut(&why)))?;
        // Every request of this test is rate limited.
        if let Some(header) = operation.missing(&answer).next() {
            return Err(wrong(format!("no {header}")));
        }
        if let Some(name) = unknown {
            if answer.status() < 300 {
                return Err(wrong(format!("{name} is not refused")));
            }
            // A refusal before body and query are read cannot name the field: that of an invalid path ends the connection,
            // and that of a header names the header. A refusal of an earlier field's value names this field.
            if answer.status() == 400
                && !answer.text().contains("`Idempotency-Key`")
                && !answer.text().contains("this value cannot be read")
                && answer.header("connection") != Some("close")
                && answer.json()["error"]["code"] == "bad_request"
                && !answer.text().contains(name)
            {
                return Err(wrong(format!("{name} is not named")));
            }
        }
        self.statuses_of.entry(operation.summary()).or_default().insert(answer.status());
        if answer.header("content-type") == Some("application/json") && operation.path != "/openapi.json" {
            self.maker.learn(&answer.json());
        }
        self.keep_signed_in(who, &answer).await;
        Ok(())
    }

    fn generate(&mut self, operation: Operation<'_>) -> GeneratedRequest {
        let mut target = operation.path.to_owned();
        let mut query: Vec<(String, String)> = Vec::new();
        let mut fields: Vec<(String, String)> = Vec::new();
        for parameter in operation.parameters() {
            let odd = self.maker.chance.once_in(5);
            let value = if odd {
                hostile(&mut self.maker.chance)
            } else {
                let created = self.maker.fitting(parameter.schema, parameter.name, 0);
                let written = if created.is_null() { String::new() } else { created.to_string() };
                created.as_str().map_or(written, str::to_owned)
            };
            if parameter.place == "path" {
                // Hyper would refuse a longer target, without a body.
                let value: String = value.chars().take(1_000).collect();
                target = target.replace(
                    &format!("{{{}}}", parameter.name),
                    &if value.is_empty() { "%00".to_owned() } else { encoded(&value) },
                );
            } else if parameter.place == "header" {
                let value: String = value.chars().filter(char::is_ascii_graphic).take(1_000).collect();
                let value = if self.maker.chance.once_in(2) { "*".to_owned() } else { value };
                fields.push((parameter.name.to_owned(), value));
            } else if self.maker.chance.once_in(3) {
                query.push((parameter.name.to_owned(), value.chars().take(1_000).collect()));
            }
        }
        let mut unknown = None;
        if operation.path.starts_with("/api/") && self.maker.chance.once_in(20) {
            query = vec![(UNKNOWN.to_owned(), "1".to_owned())];
            unknown = Some(UNKNOWN);
        }
        let text: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        if !text.is_empty() {
            let _ = write!(target, "?{}", text.join("&"));
        }
        let call = Call::new(operation.method, &target);
        let call = fields.iter().fold(call, |call, (name, value)| call.header(name, value));
        let (call, body, twisted) = self.with_body(call, operation);
        let description = format!("{} {} {}", operation.method, cut(&target), cut(&body));
        GeneratedRequest { call, description, unknown: unknown.or(twisted) }
    }

    /// Adds a body, which in most cases is almost valid.
    fn with_body(&mut self, call: Call, operation: Operation<'_>) -> (Call, String, Option<&'static str>) {
        let Some(schema) = operation.body() else { return (call, String::new(), None) };
        let json = "application/json";
        let (media, body, unknown) = match self.maker.chance.below(20) {
            0 => (json, "{\"a\":".to_owned(), None),
            1 => (json, "[1,2]".to_owned(), None),
            2 => (json, "\"text\"".to_owned(), None),
            3 => ("text/plain", "{}".to_owned(), None),
            4 => (json, "\u{feff}{}".to_owned(), None),
            5 => (json, format!("{{\"a\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000)), None),
            6 => ("application/json; charset=utf-8", "{}".to_owned(), None),
            7 if self.maker.chance.once_in(5) => (json, format!("{{\"label\":\"{}\"}}", "x".repeat(1_100_000)), None),
            _ => {
                let twist = *self.maker.chance.one(&TWISTS);
                let (body, _) = self.maker.body(schema, twist);
                (json, body.to_string(), (twist == Twist::Unknown && body.is_object()).then_some(UNKNOWN))
            }
        };
        let call = call.header("content-type", media).body(&body);
        // Each request has its own network: sign-ins are limited by address.
        let network = self.maker.chance.next();
        let address = format!("10.{}.{}.{}", network & 255, (network >> 8) & 255, (network >> 16) & 255);
        (call.header("x-forwarded-for", &address), body, unknown)
    }

    /// Returns the caller's credential; creates it if it is missing.
    async fn credential(&mut self, who: CallerKind) -> Option<String> {
        if who == CallerKind::Nobody {
            return None;
        }
        if !self.credentials.contains_key(&who) {
            self.renewals += 1;
            assert!(self.renewals as u64 <= self.renewals_max, "sessions end too often: {:?}", self.statuses_of);
            let created = self.sign_up(who).await;
            self.credentials.insert(who, created);
        }
        self.credentials.get(&who).cloned()
    }

    async fn sign_up(&mut self, who: CallerKind) -> String {
        let email = format!("walker{}@example.org", self.renewals);
        if who == CallerKind::Key {
            commands::users_create(self.gateway.folder(), &email, "business").await;
            return commands::keys_create(self.gateway.folder(), &email, "walker").await;
        }
        let body = json!({"email": email, "password": PASSWORD, "name": "Walker"});
        let from = format!("192.0.2.{}", self.renewals % 250);
        let call = Call::json("/api/auth/register", &body).header("x-forwarded-for", &from);
        let answer = call.send(self.gateway.control).await.expect(201);
        if who == CallerKind::Admin {
            let data = self.gateway.folder().data().to_string_lossy().into_owned();
            let words = ["users", "role", "--user", email.as_str(), "admin", "--data", data.as_str()];
            let role = commands::run(self.gateway.folder(), &words).await;
            assert!(role.status.success(), "{}", String::from_utf8_lossy(&role.stderr));
        }
        if who == CallerKind::MemberByCookie {
            let cookies = answer.head.all("set-cookie");
            let cookies: Vec<&str> = cookies.iter().filter_map(|line| line.split(';').next()).collect();
            return cookies.join("; ");
        }
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// Removes the credential of a session that has ended, or of an admin who lost the role.
    async fn keep_signed_in(&mut self, who: CallerKind, answer: &Answer) {
        let Some(credential) = self.credentials.get(&who) else { return };
        if !matches!(answer.status(), 401 | 403) {
            return;
        }
        let me = as_who(Call::get("/api/me"), who, Some(credential)).send(self.gateway.control).await;
        let fine = me.status() == 200 && (who != CallerKind::Admin || me.json()["acts_as"] == "admin");
        if !fine {
            self.credentials.remove(&who);
        }
    }

    /// Asserts that almost every operation succeeded at least once.
    fn tell(&self, requests: u64) {
        let mut operations = Document::committed().operations();
        operations.retain(|operation| !operation.is_stream());
        if requests < 10 * operations.len() as u64 {
            return;
        }
        let well = |operation: &Operation<'_>| {
            self.statuses_of
                .get(&operation.summary())
                .is_some_and(|statuses_of| statuses_of.iter().any(|status| (200..300).contains(status)))
        };
        let never: Vec<String> = operations
            .iter()
            .filter(|operation| !well(operation) && !SELDOM_WELL.contains(&operation.summary().as_str()))
            .map(Operation::summary)
            .collect();
        // A random run may miss an operation; a run that misses many does not generate useful requests.
        assert!(
            never.len() * 5 <= operations.len(),
            "operations that never succeeded: {never:?} ({:?})",
            self.statuses_of
        );
    }
}

fn as_who(call: Call, who: CallerKind, credential: Option<&str>) -> Call {
    match (who, credential) {
        (CallerKind::MemberByCookie, Some(cookies)) => {
            call.header("cookie", cookies).header("sec-fetch-site", "same-origin")
        }
        (_, Some(credential)) => call.key(credential),
        (_, None) => call,
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

fn cut(text: &str) -> String {
    text.chars().take(600).collect()
}
