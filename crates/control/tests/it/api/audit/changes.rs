//! Every operation that changes something writes one audit line for each change; an operation without a change writes
//! none.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use access::Role;
use config::snapshot::SignupMode;
use serde_json::{Value, json};

use crate::client::{Answer, call};
use crate::document;
use crate::person::{BrowserSession, PASSWORD};
use crate::world::World;

/// Operations whose method permits changes, but which change nothing.
// The tests of billing read the lines of subscriptions and invoices. Without books, none exists.
const CHANGES_NOTHING: [&str; 32] = [
    "POST /graphql",
    "POST /api/billing/close",
    "POST /api/billing/shadow",
    "POST /api/webhooks",
    "PATCH /api/webhooks/{id}",
    "DELETE /api/webhooks/{id}",
    "POST /api/webhooks/{id}/rotate",
    "POST /api/webhooks/{id}/test",
    "POST /api/webhooks/{id}/replay",
    "POST /api/webhooks/{id}/deliveries/{delivery_id}/replay",
    "PATCH /api/billing/profile",
    "PATCH /api/invoices/{id}",
    "POST /api/invoices/{id}/approve",
    "POST /api/invoices/{id}/credit-notes",
    "POST /api/invoices/{id}/refunds",
    "POST /api/invoices/{id}/void",
    "POST /api/invoices/{id}/write-off",
    "POST /api/subscription/cancel",
    "POST /api/subscription/change",
    "POST /api/subscription/preview",
    "POST /api/subscription/resume",
    "POST /api/wallet/topups",
    "POST /api/invoices/{id}/pay",
    "POST /api/payments/{id}/stub",
    "POST /api/subscription",
    "POST /midtrans/notification",
    "POST /api/explain",
    "POST /api/auth/validate",
    "POST /api/auth/link/check",
    "POST /api/keys/lookup",
    "POST /api/provider-keys/{id}/test",
    "POST /assets/generate",
];

/// Sends requests and collects the audit lines that they cause.
struct Log {
    world: World,
    called: BTreeSet<String>,
}

/// A request that changes data.
struct Change<'a> {
    /// Method and path; the path may be a template of the document.
    line: &'a str,
    /// The path with ids; empty if `line` is not a template.
    path: &'a str,
    /// The header field that authenticates the request; empty for none.
    header: &'a str,
    body: &'a Value,
}

const fn edit<'a>(line: &'a str, path: &'a str, header: &'a str, body: &'a Value) -> Change<'a> {
    Change { line, path, header, body }
}

impl Log {
    /// Returns the audit lines since the last call, sorted, because lines of the same time have no order.
    async fn added(&mut self) -> Vec<String> {
        let since = Some(self.world.clock.now());
        let filter = store::AuditFilter { since, ..store::AuditFilter::default() };
        let page = self.world.store.audit_page(&filter, None, 1_000).await.unwrap();
        self.world.clock.advance(Duration::from_millis(3));
        let mut new: Vec<String> = page.lines.into_iter().map(|line| line.action).collect();
        new.sort_unstable();
        new
    }

    /// Sends a change. Asserts success and these new audit lines.
    async fn call(&mut self, change: Change<'_>, left: &[&str]) -> Answer {
        let Change { line, path, header, body } = change;
        let method = line.split(' ').next().unwrap();
        let path = if path.is_empty() { line.split(' ').nth(1).unwrap() } else { path };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut headers = vec![header];
        headers.retain(|header| !header.is_empty());
        headers.extend((!body.is_empty()).then_some("Content-Type: application/json"));
        headers.extend((path.starts_with("/api/config") || path == "/config").then_some("If-Match: *"));
        let answer = call(self.world.address, &format!("{method} {path}"), &headers, &body).await;
        assert!((200..300).contains(&answer.status), "{line}: {answer:?}");
        let mut left = left.to_vec();
        left.sort_unstable();
        assert_eq!(self.added().await, left, "{line}");
        self.called.insert(line.to_owned());
        answer
    }
}

/// A configuration with a provider whose credential is in the vault.
fn with_a_provider() -> Vec<Arc<config::snapshot::Provider>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tollgate.yaml");
    std::fs::write(&file, "providers: [{name: openai, kind: openai, credential: vault}]\n").unwrap();
    let environment = config::Environment::default();
    let sources = config::Sources { file: Some(&file), environment: &environment, flags: config::Flags::default() };
    config::load(sources).unwrap().snapshot.traffic.providers
}

fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn token(url: &Value) -> String {
    url.as_str().unwrap().split_once('#').unwrap().1.to_owned()
}

#[tokio::test]
async fn every_change_leaves_one_line() {
    let world = World::start().await;
    let providers = with_a_provider();
    world.configure(|config| {
        config.traffic.signup.mode = SignupMode::Open;
        config.traffic.providers = providers;
    });
    let root = world.person_with("root", Role::Admin).await;
    let mut log = Log { world, called: BTreeSet::new() };
    log.added().await;

    let credentials = serde_json::from_str(&root.credentials()).unwrap();
    let answer = log.call(edit("POST /api/auth/login", "", "", &credentials), &["session.create"]).await;
    let admin = BrowserSession::read(&answer).bearer();
    accounts(&mut log, &admin).await;
    let member = signing_in(&mut log).await;
    plans_and_invites(&mut log, &admin).await;
    own_things(&mut log, &member).await;
    keys(&mut log, &member).await;
    configurations(&mut log, &admin).await;
    insights(&mut log, &admin, &root.user.0.to_string()).await;

    let changing: BTreeSet<String> = document::calls()
        .into_iter()
        .filter(|call| !call.starts_with("GET ") && !CHANGES_NOTHING.contains(&call.as_str()))
        .collect();
    let forgotten: Vec<_> = changing.difference(&log.called).collect();
    assert!(forgotten.is_empty(), "operations that change something, and are not in this test: {forgotten:?}");
}

/// The settings of insights, a sign-off of yesterday, and the first export, which creates the key that signs.
async fn insights(log: &mut Log, admin: &str, root: &str) {
    let settings = serde_json::to_value(insights::InsightSettings::default()).unwrap();
    log.call(edit("POST /config", "", admin, &settings), &["insights.change"]).await;
    let grants = json!({"grants": [{"role": "finance"}]});
    let path = format!("/api/users/{root}");
    log.call(edit("PATCH /api/users/{id}", &path, admin, &grants), &["user.change"]).await;
    log.call(edit("PATCH /api/users/{id}", &path, admin, &grants), &[]).await;
    let approve = json!({"role": "finance", "approve": true});
    log.call(edit("POST /review/signoff", "", admin, &approve), &["review.signoff"]).await;
    log.call(edit("POST /export/{id}", "/export/today", admin, &Value::Null), &["signing_key.create"]).await;
    log.call(edit("POST /export/{id}", "/export/today", admin, &Value::Null), &[]).await;
}

async fn accounts(log: &mut Log, admin: &str) {
    let bob = json!({"email": "bob@example.com", "name": "Bob", "plan": "starter"});
    let created = log.call(edit("POST /api/users", "", admin, &bob), &["user.create", "link.create"]).await.json();
    let bob = created["user"]["id"].as_str().unwrap();
    let link = token(&created["password_link"]["url"]);
    let use_it = json!({"token": link, "password": PASSWORD});
    log.call(edit("POST /api/auth/link", "", "", &use_it), &["user.password"]).await;
    let path = format!("/api/users/{bob}");
    let change = json!({"plan": "endless", "status": "suspended"});
    log.call(edit("PATCH /api/users/{id}", &path, admin, &change), &["user.change"]).await;
    log.call(edit("PATCH /api/users/{id}", &path, admin, &change), &[]).await;
    log.call(edit("PATCH /api/users/{id}", &path, admin, &json!({})), &[]).await;
    log.call(edit("PATCH /api/users/{id}", &path, admin, &json!({"status": "active"})), &["user.change"]).await;
    let path = format!("/api/users/{bob}/password-link");
    log.call(edit("POST /api/users/{id}/password-link", &path, admin, &Value::Null), &["link.create"]).await;
    let path = format!("/api/users/{bob}/sessions");
    log.call(edit("DELETE /api/users/{id}/sessions", &path, admin, &Value::Null), &[]).await;
    let credentials = json!({"email": "bob@example.com", "password": PASSWORD});
    log.call(edit("POST /api/auth/login", "", "", &credentials), &["session.create"]).await;
    log.call(edit("DELETE /api/users/{id}/sessions", &path, admin, &Value::Null), &["session.end"]).await;
}

/// Registers a member, and returns the header field of its session.
async fn signing_in(log: &mut Log) -> String {
    let new = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada", "refresh": true});
    let answer = log.call(edit("POST /api/auth/register", "", "", &new), &["user.create", "session.create"]).await;
    let ada = BrowserSession::read(&answer);
    // A renewal does not count as a sign-in.
    let renewal = serde_json::from_str(&ada.renewal()).unwrap();
    log.call(edit("POST /api/auth/refresh", "", "", &renewal), &[]).await;
    let change = json!({"current": PASSWORD, "new": "another long password"});
    log.call(edit("POST /api/auth/password", "", &ada.bearer(), &change), &["user.password"]).await;
    let credentials = json!({"email": "ada@example.com", "password": "another long password", "refresh": true});
    let second = log.call(edit("POST /api/auth/login", "", "", &credentials), &["session.create"]).await;
    log.call(
        edit("POST /api/auth/logout", "", &BrowserSession::read(&second).bearer(), &Value::Null),
        &["session.end"],
    )
    .await;
    let third = log.call(edit("POST /api/auth/login", "", "", &credentials), &["session.create"]).await;
    let third =
        log.world.me(&BrowserSession::read(&third).bearer()).await.json()["session_id"].as_str().unwrap().to_owned();
    let path = format!("/api/sessions/{third}");
    log.call(edit("DELETE /api/sessions/{id}", &path, &ada.bearer(), &Value::Null), &["session.end"]).await;
    ada.bearer()
}

async fn plans_and_invites(log: &mut Log, admin: &str) {
    log.call(edit("POST /api/plans", "", admin, &json!({"name": "team"})), &["plan.create"]).await;
    let change = json!({"credits_per_day": 5});
    log.call(edit("PATCH /api/plans/{name}", "/api/plans/team", admin, &change), &["plan.change"]).await;
    log.call(edit("PATCH /api/plans/{name}", "/api/plans/team", admin, &change), &[]).await;
    let template = "/api/budgets/{dimension}/{id}/{measure}/{per}";
    let [put, delete] = ["PUT", "DELETE"].map(|method| format!("{method} {template}"));
    let path = "/api/budgets/plan/team/tokens/month";
    let amount = json!({"tokens": 7});
    log.call(edit(put.as_str(), path, admin, &amount), &["budget.change"]).await;
    log.call(edit(put.as_str(), path, admin, &amount), &[]).await;
    log.call(edit(delete.as_str(), path, admin, &Value::Null), &["budget.change"]).await;
    let created = log.call(edit("POST /api/invites", "", admin, &json!({})), &["link.create"]).await;
    let path = format!("/api/invites/{}", id(&created));
    log.call(edit("DELETE /api/invites/{id}", &path, admin, &Value::Null), &["link.revoke"]).await;
}

async fn configurations(log: &mut Log, admin: &str) {
    let validated = json!({"yaml": ""});
    log.call(edit("POST /api/config/validate", "", admin, &validated), &["configuration.validate"]).await;
    let applied = log.call(edit("POST /api/config", "", admin, &json!({"yaml": ""})), &["configuration.apply"]).await;
    log.call(edit("POST /api/config/rollback", "", admin, &json!({"id": id(&applied)})), &["configuration.apply"])
        .await;
    let yaml = json!({"yaml": "plans: [{name: starter, credits_per_day: 5}]"});
    log.call(edit("POST /api/config", "", admin, &yaml), &["configuration.apply"]).await;
    log.call(edit("POST /api/config/plans", "", admin, &Value::Null), &["plan.change"]).await;
    log.call(edit("DELETE /api/cache", "/api/cache?tag=a", admin, &Value::Null), &["cache.purge"]).await;
}

async fn own_things(log: &mut Log, member: &str) {
    let new = json!({"provider": "openai", "label": "team", "secret": "sk-0123456789abcdefghijEXAMPLE"});
    let created = log.call(edit("POST /api/provider-keys", "", member, &new), &["provider_key.create"]).await;
    let path = format!("/api/provider-keys/{}", id(&created));
    let change = json!({"label": "other"});
    log.call(edit("PATCH /api/provider-keys/{id}", &path, member, &change), &["provider_key.change"]).await;
    log.call(edit("PATCH /api/provider-keys/{id}", &path, member, &change), &[]).await;
    log.call(edit("DELETE /api/provider-keys/{id}", &path, member, &Value::Null), &["provider_key.delete"]).await;
}

async fn keys(log: &mut Log, member: &str) {
    let created = log.call(edit("POST /api/keys", "", member, &json!({"label": "laptop"})), &["key.create"]).await;
    let path = format!("/api/keys/{}", id(&created));
    let change = json!({"label": "desk", "scopes": {"models": ["fast"]}});
    log.call(edit("PATCH /api/keys/{id}", &path, member, &change), &["key.change"]).await;
    log.call(edit("PATCH /api/keys/{id}", &path, member, &change), &[]).await;
    log.call(edit("PATCH /api/keys/{id}", &path, member, &json!({})), &[]).await;
    let rotate = format!("{path}/rotate");
    log.call(edit("POST /api/keys/{id}/rotate", &rotate, member, &json!({"grace": "1h"})), &["key.rotate"]).await;
    log.call(edit("DELETE /api/keys/{id}", &path, member, &Value::Null), &["key.revoke"]).await;
    log.call(edit("DELETE /api/keys/{id}", &path, member, &Value::Null), &[]).await;
}
