//! The latency of requests while the members of their upstream change. A fake etcd in the benchmark's process has 1,000
//! members, which are addresses of one mock, and replaces 20 of them a second.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use base64ct::{Base64, Encoding as _};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::time::{Instant, interval, sleep};

use crate::counts::metric;
use crate::fake::{FakeBody, FakeServer};
use crate::latency::{OtherConnections, added_p99};
use crate::memory::allow_descriptors;
use crate::product::{MEMBERS_PREFIX, MockProcess, Product, ServerConfig};
use crate::report::Figure;
use crate::request::BenchRequest;
use crate::rounds::Rounds;
use crate::sides::SideStart;

/// The list of the last change of members is in force within this time.
const CHANGES_REST: Duration = Duration::from_secs(2);
/// The members of the upstream.
const MEMBERS: usize = 1_000;
/// The time between two changes, each of which replaces the address of one member.
const CHANGE_EVERY: Duration = Duration::from_millis(50);
/// The connections of both workers to each member, and those of members that have just left.
const DESCRIPTORS: u64 = 8_192;
/// The changes that may wait for a watch; a watch that is later ends.
const CHANGES_QUEUED: usize = 1_024;
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// The members that are registered now, as the JSON gateway of etcd reports them.
struct Registry {
    /// The port of all members.
    port: u16,
    members: Mutex<Members>,
    changes: broadcast::Sender<Bytes>,
}

/// Which members have their second address, and the member that changes next.
struct Members {
    moved: Vec<bool>,
    next: usize,
}

/// Measures the milliseconds that the changes add to the 99th percentile of eight connections.
pub(crate) async fn measure(rounds: &Rounds<'_>, start: &SideStart<'_>) -> anyhow::Result<Figure> {
    allow_descriptors(DESCRIPTORS)?;
    let mock = MockProcess::start_on(Ipv4Addr::UNSPECIFIED, start.program, start.out, "mock-members").await?;
    let etcd = Registry::new(mock.address.port());
    let registry = etcd.clone();
    let server = FakeServer::start(move |path| registry.respond(path)).await?;
    let config = ServerConfig::members(server.address);
    let product = start.product("tollgate-members", config, mock.address).await?;
    wait_for_members(&product).await?;
    let address = product.proxy;
    let request = BenchRequest::PLAIN;
    let work = "20 changes a second of 1,000 members";
    let others = OtherConnections { address, request, work, added_max: 2.0, rest: CHANGES_REST };
    let figure = added_p99(rounds, &others, async || etcd.change_forever().await).await?;
    wait_for_members(&product).await?;
    Ok(figure)
}

/// Waits until all members are in force.
async fn wait_for_members(product: &Product) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let members = metric(product, "tollgate_discovery_members").await?;
        if usize::try_from(members)? == MEMBERS {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{members} of {MEMBERS} members are in force");
        sleep(PAUSE).await;
    }
}

impl Registry {
    /// All members have this port.
    fn new(port: u16) -> Arc<Self> {
        let members = Mutex::new(Members { moved: vec![false; MEMBERS], next: 0 });
        Arc::new(Self { port, members, changes: broadcast::channel(CHANGES_QUEUED).0 })
    }

    /// Returns all members, or sends all further changes.
    fn respond(&self, path: &str) -> FakeBody {
        if path != "/v3/watch" {
            return Full::from(self.range()).boxed_unsync();
        }
        let next = |mut changes: broadcast::Receiver<Bytes>| async move {
            Some((Ok(Frame::data(changes.recv().await.ok()?)), changes))
        };
        StreamBody::new(stream::unfold(self.changes.subscribe(), next)).boxed_unsync()
    }

    /// Replaces the address of one member after the other. It ends only when it is dropped.
    async fn change_forever(&self) -> anyhow::Result<()> {
        let mut due = interval(CHANGE_EVERY);
        loop {
            due.tick().await;
            // Without a watch, the next whole read has the change.
            drop(self.changes.send(self.change()));
        }
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a member as etcd has it.
    fn stored(&self, member: usize, is_moved: bool) -> Value {
        let net = if is_moved { 2 } else { 1 };
        let url = format!("http://127.{net}.{}.{}:{}", member / 250, member % 250 + 1, self.port);
        let [key, value] =
            [format!("{MEMBERS_PREFIX}{member}"), url].map(|text| Base64::encode_string(text.as_bytes()));
        json!({"key": key, "value": value, "mod_revision": "1"})
    }

    /// Returns all members, as the response of a whole read.
    fn range(&self) -> String {
        let stored: Vec<Value> =
            self.members().moved.iter().enumerate().map(|(member, is_moved)| self.stored(member, *is_moved)).collect();
        json!({"header": {"revision": "1"}, "kvs": stored}).to_string()
    }

    /// Replaces the address of the next member, and returns the message of a watch.
    fn change(&self) -> Bytes {
        let mut members = self.members();
        let member = members.next % MEMBERS;
        members.next += 1;
        let is_moved = members.moved.get(member).is_some_and(|is_moved| !is_moved);
        if let Some(moved) = members.moved.get_mut(member) {
            *moved = is_moved;
        }
        format!("{}\n", json!({"result": {"events": [{"kv": self.stored(member, is_moved)}]}})).into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_change_replaces_one_of_a_thousand_members() {
        let etcd = Registry::new(9_000);
        let values = || {
            let read: Value = serde_json::from_str(&etcd.range()).unwrap();
            let value = |stored: &Value| stored["value"].as_str().unwrap().to_owned();
            read["kvs"].as_array().unwrap().iter().map(value).collect::<BTreeSet<_>>()
        };
        let before = values();
        let change: Value = serde_json::from_slice(&etcd.change()).unwrap();
        let after = values();
        assert_eq!((before.len(), after.len(), before.intersection(&after).count()), (MEMBERS, MEMBERS, MEMBERS - 1));
        let changed = change["result"]["events"][0]["kv"]["value"].as_str().unwrap();
        assert!(after.contains(changed) && !before.contains(changed), "{change}");
        assert_eq!(Base64::decode_vec(changed).unwrap(), b"http://127.2.0.1:9000");
    }
}
