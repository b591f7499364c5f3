//! One worker with a caller before it, whose every key lookup is answered here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use access::{ApiKey, Clock, Directory, Ids, KeyId, KeyNo, Lookup, NotFound, Plan, Principal, Revision, Timestamp};
use access::{UserId, UserNo};
use bytes::Bytes;
use config::{Flags, Live, Sources};
use http::{Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use meter::Meter;
use proxy::{Drain, Gate, Lane, Phase, Shared, Workers};
use rustls::ClientConfig;
use spool::{Reader, Record, Spool};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// 2026-11-20T12:00:00Z.
const NOON: Timestamp = Timestamp(1_795_176_000_000_000);
const USER: UserNo = UserNo(1);
const KEY: KeyNo = KeyNo(1);

/// What a request through it costs.
pub(crate) const CREDITS: u32 = 3;

pub(crate) struct Gateway {
    address: SocketAddr,
    key: ApiKey,
    shared: Arc<Shared>,
    workers: Option<Workers>,
    reader: Reader,
    tasks: JoinSet<()>,
    _data: TempDir,
}

/// How the meter's reservations ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) released: u64,
    pub(crate) settled: u64,
    pub(crate) interrupted: u64,
}

impl Gateway {
    /// Before an upstream at `url`, whose certificate is judged by `tls`. To be started within a runtime.
    pub(crate) fn start(url: &str, tls: Arc<ClientConfig>) -> Self {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("tollgate.yaml");
        let yaml = format!(
            "ai: {{enabled: false}}\n\
             timeouts: {{connect: 1s}}\n\
             upstreams: [{{name: backend, backends: [{{url: \"{url}\"}}]}}]\n\
             routes: [{{name: all, path: {{prefix: /api}}, credits: {CREDITS}, upstreams: backend}}]\n"
        );
        std::fs::write(&file, yaml).unwrap();
        let flags = Flags { listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))), ..Flags::default() };
        let snapshot = config::load(Sources { file: Some(&file), env: &|_| None, flags }).unwrap().snapshot;

        let clock = Clock::manual(NOON);
        let options = spool::Options::new(16 * 1024 * 1024, 1);
        let Spool { mut writers, reader, .. } = Spool::open(&data.path().join("spool"), options, &[]).unwrap();
        let (queue, lookups) = mpsc::channel(16);
        let directory = Directory::new(queue, Arc::new(Revision::default()), clock.clone(), Duration::from_secs(3600));
        let key = ApiKey::generate("tollgate").unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(answer(lookups, key.clone(), principal(&clock)));

        let listeners = proxy::bind(&snapshot.listen, 1).unwrap();
        let address = listeners.addresses()[0];
        let shared = Arc::new(Shared {
            gate: Gate::new(snapshot.connections, snapshot.sizes.buffered_bytes_max),
            live: Arc::new(Live::new(Arc::new(snapshot))),
            meter: Arc::new(Meter::default()),
            metrics: telemetry::Metrics::new(),
            clock,
            tls,
            drain: Drain::default(),
        });
        let lane = Lane { directory, spool: writers.remove(0) };
        let workers = Some(proxy::start(&shared, listeners, vec![lane]).unwrap());
        Self { address, key, shared, workers, reader, tasks, _data: data }
    }

    /// Posts `body` to `path` with the key, on a connection of its own; answers when the head is here.
    pub(crate) async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        self.tasks.spawn(async move { connection.await.unwrap_or_default() });
        let request = Request::post(path)
            .header(header::HOST, "gateway.test")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key.expose()))
            .body(Full::new(body.into()))
            .unwrap();
        sender.send_request(request).await.unwrap()
    }

    /// Credits that the caller has used today: user and key, which must agree.
    pub(crate) fn used(&self) -> u64 {
        let (meter, day) = (&self.shared.meter, self.shared.clock.now().day());
        let used = meter.used(USER, day);
        assert_eq!(used, meter.used_by_key(KEY, day));
        used
    }

    /// How the meter's reservations ended so far.
    pub(crate) fn ended(&self) -> Ended {
        let tally = self.shared.meter.tally();
        Ended {
            released: tally.released.load(Ordering::Relaxed),
            settled: tally.settled.load(Ordering::Relaxed),
            interrupted: tally.interrupted.load(Ordering::Relaxed),
        }
    }

    /// Ends the worker; answers what it recorded.
    pub(crate) async fn stop(&mut self) -> Vec<Record> {
        self.shared.drain.enter(Phase::Ending);
        if let Some(workers) = self.workers.take() {
            // Not on this thread: callers' connections must be able to end.
            let panicked = tokio::task::spawn_blocking(|| workers.join()).await.unwrap();
            assert_eq!(panicked, 0, "a worker panicked");
        }
        self.reader.next_batch(1_000).unwrap().records
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The worker ends by itself; whoever waits for it calls `stop`.
        self.shared.drain.enter(Phase::Ending);
    }
}

fn principal(clock: &Clock) -> Arc<Principal> {
    let mut ids = Ids::new(clock.clone());
    let plan = Plan { name: "starter".to_owned(), credits_per_day: Some(1_000), requests_per_minute: None };
    Arc::new(Principal {
        user: UserId(ids.next_uuid()),
        user_no: USER,
        key: KeyId(ids.next_uuid()),
        key_no: KEY,
        plan: Arc::new(plan),
        expires_at: None,
    })
}

async fn answer(mut lookups: mpsc::Receiver<Lookup>, key: ApiKey, principal: Arc<Principal>) {
    while let Some(Lookup { hash, reply }) = lookups.recv().await {
        let found = if hash == key.hash() { Ok(principal.clone()) } else { Err(NotFound::Unknown) };
        // Whoever asked may be gone.
        let _ = reply.send(found);
    }
}
