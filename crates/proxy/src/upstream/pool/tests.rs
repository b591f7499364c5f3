use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::timeout;

use super::*;
use crate::bytes::buffers::Buffers;
use crate::deadlines::probe::Gauge;
use crate::deadlines::task::spawn;
use crate::upstream::socket::{Socket, Transport};

/// The longest wait for a change of state.
const PATIENCE: Duration = Duration::from_secs(20);

/// The pools of two workers, whose connections to one backend have one bound.
struct TwoWorkers {
    pools: [Rc<Pools>; 2],
    backend: [Rc<Pool>; 2],
    address: SocketAddr,
    buffers: Rc<Buffers>,
    _listener: TcpListener,
}

impl TwoWorkers {
    async fn new(connections_max: u32, wanted: &Arc<Notify>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let rules = PoolRules { max_connections: Some(connections_max), ..PoolRules::DEFAULT };
        let bounds = PoolBounds { rules, limit: ConnectionLimit::from_rules(&rules, wanted), workers: 2 };
        let origin = Origin::parse(&format!("http://{address}")).unwrap();
        let pools = [Rc::<Pools>::default(), Rc::<Pools>::default()];
        let backend = [0, 1].map(|worker: usize| pools[worker].pool_for(&origin, None, &bounds));
        Self { pools, backend, address, buffers: Rc::default(), _listener: listener }
    }

    /// Opens a connection of a worker, or takes the one that its pool hands over.
    async fn open(&self, worker: usize) -> Option<Box<Http1Connection>> {
        match self.backend[worker].connection(PATIENCE).await.ok()? {
            PooledConnection::Open(link) => Some(link),
            PooledConnection::New(permit) => {
                let stream = TcpStream::connect(self.address).await.unwrap();
                let gauge = Gauge::new();
                let socket = Socket::new(Transport::Plain(stream), gauge.clone());
                Some(Http1Connection::new(socket, gauge, self.buffers.clone(), permit))
            }
        }
    }
}

fn on_a_worker<T>(work: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async { timeout(PATIENCE, work).await.expect("the end of the test in time") })
}

#[test]
fn an_idle_connection_of_one_worker_is_closed_for_a_request_of_another() {
    on_a_worker(async {
        let wanted = Arc::<Notify>::default();
        let workers = TwoWorkers::new(1, &wanted).await;
        let link = workers.open(0).await.unwrap();
        workers.backend[0].give_back(link, Instant::now());
        let pools = workers.pools[0].clone();
        let waked = wanted.clone();
        drop(spawn(async move { sweep_forever(&pools, &waked).await }));
        let begin = Instant::now();
        assert!(workers.open(1).await.is_some());
        assert!(begin.elapsed() < SWEEP_EVERY, "no regular check is waited for: {:?}", begin.elapsed());
        assert!(workers.backend[0].idle.borrow().is_empty());
    });
}

#[test]
fn an_idle_connection_of_one_worker_is_closed_for_each_request_of_another() {
    on_a_worker(async {
        let wanted = Arc::<Notify>::default();
        let workers = TwoWorkers::new(4, &wanted).await;
        let mut links = Vec::new();
        for _ in 0..4 {
            links.push(workers.open(0).await.unwrap());
        }
        links.into_iter().for_each(|link| workers.backend[0].give_back(link, Instant::now()));
        let pools = workers.pools[0].clone();
        let waked = wanted.clone();
        drop(spawn(async move { sweep_forever(&pools, &waked).await }));
        let begin = Instant::now();
        let opened = tokio::join!(workers.open(1), workers.open(1), workers.open(1), workers.open(1));
        assert!(matches!(opened, (Some(_), Some(_), Some(_), Some(_))));
        assert!(begin.elapsed() < SWEEP_EVERY, "no regular check is waited for: {:?}", begin.elapsed());
    });
}

#[test]
fn waiting_requests_of_two_workers_share_the_connections() {
    on_a_worker(async {
        let workers = Rc::new(TwoWorkers::new(1, &Arc::default()).await);
        let served = Rc::new(RefCell::new(Vec::new()));
        let link = workers.open(0).await.unwrap();
        for _ in 0..20 {
            for worker in [0, 1] {
                let workers = workers.clone();
                let served = served.clone();
                drop(spawn(async move {
                    let link = workers.open(worker).await.unwrap();
                    served.borrow_mut().push(worker);
                    tokio::task::yield_now().await;
                    workers.backend[worker].give_back(link, Instant::now());
                }));
            }
        }
        let limit = workers.backend[0].limit.clone().unwrap();
        while limit.waiting() < 40 {
            tokio::task::yield_now().await;
        }
        workers.backend[0].give_back(link, Instant::now());
        while served.borrow().len() < 40 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // In each half, both workers have served a good part of their requests.
        let first: usize = served.borrow()[..20].iter().sum();
        assert!((5..=15).contains(&first), "{:?}", served.borrow());
    });
}

#[test]
fn a_waiting_request_that_ends_leaves_its_turn_to_others() {
    on_a_worker(async {
        let workers = Rc::new(TwoWorkers::new(1, &Arc::default()).await);
        let link = workers.open(0).await.unwrap();
        let limit = workers.backend[0].limit.clone().unwrap();
        let late = workers.backend[0].connection(Duration::from_millis(50)).await;
        assert!(matches!(late, Err(ConnectionWaitError::Late)));
        assert!(timeout(Duration::from_millis(50), workers.open(0)).await.is_err(), "the future is dropped");
        assert_eq!(limit.waiting(), 0);
        workers.backend[0].give_back(link, Instant::now());
        assert!(workers.backend[0].take(Instant::now(), true).await.is_some(), "the connection is idle");
    });
}

#[test]
fn a_request_that_a_connection_was_handed_to_waits_no_longer() {
    on_a_worker(async {
        let workers = Rc::new(TwoWorkers::new(2, &Arc::default()).await);
        let links = [workers.open(0).await.unwrap(), workers.open(0).await.unwrap()];
        let limit = workers.backend[0].limit.clone().unwrap();
        let waits = workers.clone();
        let waiting = tokio::task::LocalSet::new();
        let served = waiting.spawn_local(async move { waits.open(0).await });
        waiting
            .run_until(async {
                while limit.waiting() == 0 {
                    tokio::task::yield_now().await;
                }
                // The request has no time to run between these connections.
                for link in links {
                    workers.backend[0].give_back(link, Instant::now());
                }
                assert_eq!(limit.waiting(), 0);
                assert_eq!(workers.backend[0].idle.borrow().len(), 1, "the second connection is not closed for it");
                assert!(served.await.unwrap().is_some());
            })
            .await;
    });
}
