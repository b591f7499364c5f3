//! A small Consul for one test: the registration of services, checks with a TTL, and blocking queries of their health, as the
//! HTTP API of Consul 1.20 documents them. No server of Consul is in the package registries. `make consul URL=…` runs the test
//! of a client's registrations with a real one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::upstream::{Turn, Upstream};

/// The server; dropping it closes its connections.
#[derive(Debug)]
pub struct Consul {
    server: Upstream,
    catalog: Arc<Catalog>,
}

#[derive(Debug, Default)]
struct Catalog {
    services: Mutex<Services>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Services {
    index: u64,
    /// The registrations by their id, with names of members in lowercase, each with whether its check passes.
    registered: BTreeMap<String, (Value, bool)>,
    /// The token that queries must have.
    token: Option<String>,
}

impl Catalog {
    fn lock(&self) -> MutexGuard<'_, Services> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Services)) {
        let mut services = self.lock();
        change(&mut services);
        services.index += 1;
        drop(services);
        self.changed.notify_waiters();
    }

    /// Changes whether the check of an instance passes. Returns false if it does not exist.
    fn set_passing(&self, id: &str, passes: bool) -> bool {
        let mut exists = false;
        self.change(|services| {
            if let Some(instance) = services.registered.get_mut(id) {
                (instance.1, exists) = (passes, true);
            }
        });
        exists
    }

    /// Returns the passing instances of a service, and the index.
    fn passing(&self, service: &str) -> (Vec<Value>, u64) {
        let services = self.lock();
        let of = services.registered.values().filter(|(value, passes)| *passes && value["name"] == service);
        let shown = of.map(|(value, _)| {
            let weight = |of: &str| value["weights"][of].as_u64().unwrap_or(1);
            json!({"Node": {"Node": "n", "Address": "127.0.0.1"},
                "Service": {"ID": value["id"], "Service": service, "Address": value["address"], "Port": value["port"],
                    "Weights": {"Passing": weight("passing"), "Warning": weight("warning")}}})
        });
        (shown.collect(), services.index)
    }
}

impl Consul {
    /// Starts a server without services, whose index begins with `index`.
    pub async fn start(index: u64) -> Self {
        let catalog = Arc::new(Catalog::default());
        catalog.lock().index = index;
        let served = catalog.clone();
        let server = Upstream::start(move |mut turn: Turn| {
            let catalog = served.clone();
            async move {
                respond(&catalog, &mut turn).await;
                Some(turn)
            }
        })
        .await;
        Self { server, catalog }
    }

    /// Returns the address of the server.
    #[must_use]
    pub const fn address(&self) -> std::net::SocketAddr {
        self.server.address()
    }

    /// Registers an instance, as a client of Consul does.
    pub fn register(&self, id: &str, service: &str, at: (&str, u16)) {
        let value = json!({"id": id, "name": service, "address": at.0, "port": at.1});
        self.catalog.change(|services| drop(services.registered.insert(id.to_owned(), (value, true))));
    }

    /// Removes an instance from the catalog.
    pub fn deregister(&self, id: &str) {
        self.catalog.change(|services| drop(services.registered.remove(id)));
    }

    /// Changes whether the check of an instance passes.
    pub fn set_passing(&self, id: &str, passes: bool) {
        self.catalog.set_passing(id, passes);
    }

    /// Lets the index begin again, as that of a restored server.
    pub fn reset_index(&self) {
        self.catalog.change(|services| services.index = 0);
    }

    /// Returns the first lines of all requests.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.server.seen().into_iter().map(|seen| seen.head.first).collect()
    }

    /// Requires a token of queries.
    pub fn require(&self, token: &str) {
        self.catalog.lock().token = Some(token.to_owned());
    }
}

async fn respond(catalog: &Catalog, turn: &mut Turn) {
    let body = turn.read_body().await;
    let (method, target) = {
        let mut words = turn.head.first.split(' ');
        (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned())
    };
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let required = catalog.lock().token.clone();
    if required.is_some() && turn.head.header("x-consul-token") != required.as_deref() {
        turn.answer("403 Forbidden", b"Permission denied").await;
        return;
    }
    match (method.as_str(), path) {
        ("PUT", "/v1/agent/service/register") => {
            let value = lowercase(serde_json::from_slice(&body).unwrap_or_default());
            let id = value.get("id").or(value.get("name")).and_then(Value::as_str).unwrap_or_default().to_owned();
            // A check with a TTL is critical until the service reports.
            let passes = value.get("check").is_none() && value.get("checks").is_none();
            catalog.change(|services| drop(services.registered.insert(id, (value, passes))));
            turn.answer("200 OK", b"").await;
        }
        ("PUT", path) if path.starts_with("/v1/agent/check/") => {
            let mut words = path.trim_start_matches("/v1/agent/check/").split("/service:");
            let passes = words.next() == Some("pass");
            let exists = catalog.set_passing(words.next().unwrap_or_default(), passes);
            turn.answer(if exists { "200 OK" } else { "404 Not Found" }, b"").await;
        }
        ("PUT", path) if path.starts_with("/v1/agent/service/deregister/") => {
            let id = path.rsplit('/').next().unwrap_or_default();
            catalog.change(|services| drop(services.registered.remove(id)));
            turn.answer("200 OK", b"").await;
        }
        ("GET", path) if path.starts_with("/v1/health/service/") => {
            let service = path.rsplit('/').next().unwrap_or_default();
            let parameter = |name: &str| {
                query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
            };
            let index: u64 = parameter("index").parse().unwrap_or_default();
            let wait =
                parameter("wait").trim_end_matches('s').parse().map_or(Duration::from_mins(5), Duration::from_secs);
            let (instances, now) = passing_after(catalog, service, index, wait).await;
            let head = format!("200 OK\r\nContent-Type: application/json\r\nX-Consul-Index: {now}");
            turn.answer(&head, json!(instances).to_string().as_bytes()).await;
        }
        _ => {
            turn.answer("404 Not Found", b"").await;
        }
    }
}

/// Returns a value whose members have names in lowercase: Consul ignores their case.
fn lowercase(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), lowercase(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(lowercase).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// Returns the passing instances as soon as the index differs from that of the query, or its wait has ended.
async fn passing_after(catalog: &Catalog, service: &str, index: u64, wait: Duration) -> (Vec<Value>, u64) {
    let differs = async {
        loop {
            let changed = catalog.changed.notified();
            let (instances, now) = catalog.passing(service);
            if index == 0 || now != index {
                return (instances, now);
            }
            changed.await;
        }
    };
    match timeout(wait, differs).await {
        Ok(found) => found,
        Err(_) => catalog.passing(service),
    }
}
