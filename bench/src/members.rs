//! The latency of requests while the members of their upstream change. A fake etcd in the benchmark's process has 1,000
//! members, which are addresses of one mock, and replaces 20 of them a second.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

use crate::counts::metric;
use crate::figure::Figure;
use crate::latency::{OTHERS, OtherConnections, added_p99};
use crate::memory::allow_descriptors;
use crate::product::{MEMBERS_PREFIX, MockProcess, Product, ProductStart, ServerVariant};
use crate::request::BenchRequest;
use crate::rounds::Rounds;
use crate::rows::CHANGES_REST;
use crate::sides::SideStart;
use crate::span_receiver::first_request;
use crate::stats::Target;

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
const ADDED_MAX: Target = Target::must(2.0);

/// A server of the JSON gateway of etcd, which ends when it is dropped.
struct FakeEtcd {
    address: SocketAddr,
    registry: Arc<Registry>,
    _tasks: JoinSet<()>,
}

/// The members that are registered now.
struct Registry {
    /// The port of all members.
    port: u16,
    members: Mutex<Members>,
    changes: broadcast::Sender<Arc<str>>,
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
    let etcd = FakeEtcd::start(mock.address.port()).await?;
    let (data, variant) = (start.dir.join("tollgate-members"), ServerVariant::Members(etcd.address));
    let product = ProductStart { variant, ..ProductStart::new(start.program, &data, start.out, "tollgate-members") };
    let product = product.run(mock.address).await?;
    wait_for_members(&product).await?;
    let others = OtherConnections { address: product.proxy, request: BenchRequest::PLAIN, rest: CHANGES_REST };
    let measured = added_p99(rounds, &others, async || etcd.change_forever().await).await?;
    wait_for_members(&product).await?;
    let what = format!("ms added to the p99 of {OTHERS} connections by 20 changes a second of {MEMBERS} members");
    Ok(Figure { what, measured, target: ADDED_MAX })
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

impl FakeEtcd {
    /// Starts a server whose members have this port.
    async fn start(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, mut tasks) = (listener.local_addr()?, JoinSet::new());
        let members = Mutex::new(Members { moved: vec![false; MEMBERS], next: 0 });
        let registry = Arc::new(Registry { port, members, changes: broadcast::channel(CHANGES_QUEUED).0 });
        let served = registry.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, served.clone()));
            }
        });
        Ok(Self { address, registry, _tasks: tasks })
    }

    /// Replaces the address of one member after the other. It ends only when it is dropped.
    async fn change_forever(&self) -> anyhow::Result<()> {
        let mut due = interval(CHANGE_EVERY);
        loop {
            due.tick().await;
            let change = self.registry.change();
            // Without a watch, the next whole read has the change.
            drop(self.registry.changes.send(change));
        }
    }
}

impl Registry {
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
    fn change(&self) -> Arc<str> {
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

/// Responds to the only request of a connection.
async fn serve(mut stream: TcpStream, registry: Arc<Registry>) -> std::io::Result<()> {
    let mut received = Vec::new();
    while first_request(&received).is_none_or(|length| length > received.len()) {
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
    if received.starts_with(b"POST /v3/watch") {
        return watch(stream, &registry).await;
    }
    let members = registry.range();
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", members.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(members.as_bytes()).await
}

/// Sends all further changes as the chunks of a response.
async fn watch(mut stream: TcpStream, registry: &Registry) -> std::io::Result<()> {
    let mut changes = registry.changes.subscribe();
    stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    while let Ok(change) = changes.recv().await {
        stream.write_all(format!("{:x}\r\n{change}\r\n", change.len()).as_bytes()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[tokio::test]
    async fn each_change_replaces_one_of_a_thousand_members() {
        let etcd = FakeEtcd::start(9_000).await.unwrap();
        let values = || {
            let read: Value = serde_json::from_str(&etcd.registry.range()).unwrap();
            let value = |stored: &Value| stored["value"].as_str().unwrap().to_owned();
            read["kvs"].as_array().unwrap().iter().map(value).collect::<BTreeSet<_>>()
        };
        let before = values();
        let change: Value = serde_json::from_str(&etcd.registry.change()).unwrap();
        let after = values();
        assert_eq!((before.len(), after.len(), before.intersection(&after).count()), (MEMBERS, MEMBERS, MEMBERS - 1));
        let changed = change["result"]["events"][0]["kv"]["value"].as_str().unwrap();
        assert!(after.contains(changed) && !before.contains(changed), "{change}");
        assert_eq!(Base64::decode_vec(changed).unwrap(), b"http://127.2.0.1:9000");
    }
}
