//! Limits that nodes share: the scripts count as the meter does, and nodes together admit a limit once.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use access::{Clock, Mono};
use cluster::windows::{ANSWER, Sharing, Windows, grants};
use meter::limiter::sharing::{LimitSharing, PendingGrant, SharedLimit, SharedRequest, SharedTake};
use meter::limiter::{LimitCounters, RequestTerms};
use meter::rate::{Bucket, Rate};
use meter::window::{Window, WindowLog};
use redis::AsyncCommands;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::faults::{eventually, keeping};
use super::script::{Numbers, clocked, with_functions, without_expiry};
use super::{DAY, PATIENT};
use crate::redis::Redis;

const WINDOW: &str = include_str!("../../../src/windows/grant_window.lua");
const BUCKET: &str = include_str!("../../../src/windows/grant_bucket.lua");

fn number(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap()
}

#[tokio::test]
async fn the_script_of_windows_counts_as_the_meter_does() {
    let redis = Redis::start().await;
    let mut connection = redis.connection().await;
    let script = clocked(&without_expiry(&with_functions(WINDOW)));
    let mut numbers = Numbers(5);
    for (limit, length_ms) in [(1, 1_000), (150, 60_000), (7, 977), (1_000_000, 86_400_000)] {
        connection.del::<_, ()>("count").await.unwrap();
        let window = Window::new(number(limit), Duration::from_millis(length_ms));
        let mut log = WindowLog::default();
        let mut now_ms = 1_800_000_000_000_u64;
        for step in 0..300 {
            now_ms += numbers.below(length_ms / 3);
            let want = 1 + numbers.below(u64::from(limit));
            let parts = 1 + numbers.below(12);
            let left = u64::from(log.view(window, now_ms).remaining);
            let granted = if left == 0 { 0 } else { want.min((left / parts).max(1)) };
            log.add(window.span(), granted, now_ms);
            let view = log.view(window, now_ms);
            let mut call = script.key("count");
            call.arg(limit).arg(length_ms).arg(want).arg(parts).arg(now_ms / 1_000).arg(now_ms % 1_000 * 1_000);
            let answer: [u64; 5] = call.invoke_async(&mut connection).await.unwrap();
            let expected = [now_ms, granted, view.remaining.into(), view.reset_ms, view.retry_after_ms];
            assert_eq!(answer, expected, "{limit} step {step}");
        }
    }
}

#[tokio::test]
async fn the_script_of_buckets_counts_as_the_meter_does() {
    let redis = Redis::start().await;
    let mut connection = redis.connection().await;
    let script = clocked(&without_expiry(&with_functions(BUCKET)));
    let mut numbers = Numbers(6);
    for (limit, burst, seconds) in [(1, 1, 60), (1_000, 1_000, 60), (300, 20, 7), (1_000_000, 5, 86_400)] {
        connection.del::<_, ()>("bucket").await.unwrap();
        let rate = Rate::new(number(limit), Duration::from_secs(seconds)).with_burst(number(burst));
        let bucket = Bucket::default();
        let mut now_us = 1_800_000_000_000_000_u64;
        for step in 0..300 {
            now_us += numbers.below(3 * rate.interval_nanos() / 1_000);
            let want = 1 + numbers.below(u64::from(burst));
            let parts = 1 + numbers.below(8);
            let now = Mono(now_us * 1_000);
            let taken = |want: u64| (0..want).map_while(|_| bucket.take(rate, now).ok()).count();
            // The rest of the bucket, which is given back.
            let left = taken(u64::from(burst));
            (0..left).for_each(|_| bucket.give_back(rate));
            let granted = if left == 0 { 0 } else { want.min((u64::try_from(left).unwrap() / parts).max(1)) };
            assert_eq!(taken(granted), usize::try_from(granted).unwrap());
            let mut call = script.key("bucket");
            call.arg(burst).arg(rate.interval_nanos()).arg(want).arg(parts);
            call.arg(now_us / 1_000_000).arg(now_us % 1_000_000);
            let answer: [u64; 2] = call.invoke_async(&mut connection).await.unwrap();
            assert_eq!(answer[0], granted, "{limit} {burst} step {step}");
        }
    }
}

/// A node that serves requests.
pub(super) struct Node {
    pub(super) sharing: LimitSharing,
    counters: Arc<LimitCounters>,
    clock: Clock,
    pub(super) windows: Windows,
    _tasks: JoinSet<()>,
}

impl Node {
    pub(super) async fn start(redis: &Redis, name: &str, answer: Duration) -> Self {
        let url = redis.url();
        let clock = Clock::system();
        let sharing = Sharing { url: &url, brand: "tollgate", answer, node: Some(name) };
        let windows = Windows::shared(sharing, clock.clone()).await.unwrap();
        let (sender, queue) = mpsc::channel(64);
        let sharing = LimitSharing::new(sender, windows.sharing_state().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(grants::serve(windows.clone(), queue, std::future::pending()));
        Self { sharing, counters: Arc::default(), clock, windows, _tasks: tasks }
    }

    fn begin(&self, key: &[u8], terms: RequestTerms, is_exact: bool) -> SharedTake {
        let limit = SharedLimit { counters: &self.counters, id: b"test", key, terms, is_exact };
        self.sharing.take(&limit, self.clock.mono())
    }

    /// Returns the request, if it was counted.
    async fn take(&self, key: &[u8], terms: RequestTerms, is_exact: bool) -> Option<SharedRequest> {
        match self.begin(key, terms, is_exact) {
            SharedTake::Counted(_, request) => Some(request),
            SharedTake::Refused(_) => None,
            SharedTake::Waits(grant) => result(grant).await,
            SharedTake::Unavailable => panic!("Redis is available"),
        }
    }
}

async fn result(grant: PendingGrant) -> Option<SharedRequest> {
    let result = tokio::time::timeout(PATIENT, grant.result()).await.unwrap();
    result.unwrap().ok().map(|(_, request)| request)
}

/// Two nodes that have noticed each other.
pub(super) async fn nodes(redis: &Redis) -> [Arc<Node>; 2] {
    let first = Node::start(redis, "first", PATIENT).await;
    let second = Node::start(redis, "second", PATIENT).await;
    assert_eq!(second.sharing.nodes(), number(2));
    keeping(&first.windows, eventually("the other node is noticed", || first.sharing.nodes() == number(2))).await;
    [Arc::new(first), Arc::new(second)]
}

fn window(limit: u32) -> RequestTerms {
    RequestTerms::SlidingWindow(Window::new(number(limit), DAY))
}

fn bucket(limit: u32) -> RequestTerms {
    RequestTerms::TokenBucket(Rate::new(number(limit), DAY))
}

#[tokio::test]
async fn two_nodes_admit_an_exact_limit_once_and_at_least_95_percent_of_a_leased_one() {
    let redis = Redis::start().await;
    let nodes = nodes(&redis).await;
    for (limit, is_exact) in [(80, true), (1_000, true), (1_000, false), (5_000, false)] {
        for terms in [window(limit), bucket(limit)] {
            let key: Arc<[u8]> = format!("{terms:?} {is_exact}").into_bytes().into();
            let mut clients = JoinSet::new();
            // Each node receives as many requests as the limit, from several clients at once.
            for client in 0..20 {
                let node = nodes[client % 2].clone();
                let key = key.clone();
                clients.spawn(async move {
                    let mut admitted = 0;
                    for _ in 0..limit / 10 {
                        admitted += u32::from(node.take(&key, terms, is_exact).await.is_some());
                    }
                    admitted
                });
            }
            let admitted: u32 = clients.join_all().await.into_iter().sum();
            let least = if is_exact { limit } else { limit - limit / 20 };
            assert!((least..=limit).contains(&admitted), "{admitted} of {limit}, {terms:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_obeys_retry_after_is_admitted_by_exact_and_leased_limits() {
    let redis = Redis::start().await;
    let [node, _] = nodes(&redis).await;
    for (limit, is_exact) in [(1, true), (3, true), (200, true), (200, false)] {
        let terms = RequestTerms::SlidingWindow(Window::new(number(limit), Duration::from_secs(1)));
        let key = format!("{limit} {is_exact}").into_bytes();
        for round in 0..3 {
            let exceeded = loop {
                match node.begin(&key, terms, is_exact) {
                    SharedTake::Counted(..) => {}
                    SharedTake::Refused(exceeded) => break exceeded,
                    SharedTake::Waits(grant) => {
                        let result = tokio::time::timeout(PATIENT, grant.result()).await.unwrap();
                        if let Err(exceeded) = result.unwrap() {
                            break exceeded;
                        }
                    }
                    SharedTake::Unavailable => panic!("Redis is available"),
                }
            };
            assert!(exceeded.retry_after <= Duration::from_millis(1_250), "{exceeded:?}");
            tokio::time::sleep(exceeded.retry_after).await;
            assert!(node.take(&key, terms, is_exact).await.is_some(), "{limit} {is_exact}, round {round}");
        }
    }
}

#[tokio::test]
async fn a_request_that_is_given_back_passes_on_any_node_if_the_limit_is_exact() {
    let redis = Redis::start().await;
    let [first, second] = nodes(&redis).await;
    for terms in [window(3), bucket(3)] {
        let key = format!("{terms:?}").into_bytes();
        for _ in 0..10 {
            let request = first.take(&key, terms, true).await.expect("all earlier ones are given back");
            first.sharing.give_back(request);
            // Sent later on the same connection, so Redis has counted the request back when it answers.
            assert!(first.take(b"other", window(1_000), true).await.is_some());
        }
        for expected in [true, true, true, false] {
            assert_eq!(second.take(&key, terms, true).await.is_some(), expected, "{terms:?}");
        }
    }
}

#[tokio::test]
async fn a_request_that_stops_waiting_leaves_its_grant_to_the_next_one() {
    let redis = Redis::start().await;
    let [first, _] = nodes(&redis).await;
    let terms = window(1_000);
    for _ in 0..3 {
        let SharedTake::Waits(grant) = first.begin(b"key", window(2), true) else { panic!() };
        drop(grant);
        assert!(first.take(b"other", terms, true).await.is_some());
    }
    for expected in [true, true, false] {
        assert_eq!(first.take(b"key", window(2), true).await.is_some(), expected);
    }
}

#[tokio::test]
async fn a_request_that_another_limit_refuses_gives_its_grant_back() {
    let redis = Redis::start().await;
    let [first, _] = nodes(&redis).await;
    let terms = window(1_000);
    for _ in 0..3 {
        let SharedTake::Waits(grant) = first.begin(b"key", window(2), true) else { panic!() };
        // A later reply shows that the one for this request has arrived.
        assert!(first.take(b"other", terms, true).await.is_some());
        drop(grant);
    }
    for expected in [true, true, false] {
        assert!(first.take(b"other", terms, true).await.is_some());
        assert_eq!(first.take(b"key", window(2), true).await.is_some(), expected);
    }
}

#[tokio::test]
async fn a_redis_that_is_killed_or_stops_delays_few_requests_and_no_later_ones() {
    for stops in [false, true] {
        let mut redis = Redis::start().await;
        let node = Node::start(&redis, "first", ANSWER).await;
        keeping(&node.windows, async {
            eventually("Redis is used", || node.windows.is_shared()).await;
            if stops {
                redis.signal("-STOP").await;
            } else {
                redis.kill().await;
            }
            // A connection that was closed may be noticed with the first call; of one that stops, three calls are late.
            let mut waits = 0;
            while let SharedTake::Waits(grant) = node.begin(b"key", window(50), true) {
                waits += 1;
                assert!(grant.result().await.is_none());
                assert!(waits <= 3, "Redis still counts as available");
            }
            for _ in 0..1_000 {
                let taken = node.begin(b"key", window(50), true);
                assert!(matches!(taken, SharedTake::Unavailable), "{taken:?}");
            }
            if stops {
                redis.signal("-CONT").await;
            } else {
                redis.resume().await;
            }
            eventually("Redis is used again", || node.windows.is_shared()).await;
            // On a busy machine, a reply may be late again.
            let again = async {
                loop {
                    if let SharedTake::Waits(grant) = node.begin(b"key", window(50), true)
                        && let Some(Ok(_)) = grant.result().await
                    {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(PATIENT, again).await.expect("Redis counts again");
        })
        .await;
    }
}

#[tokio::test]
async fn nodes_of_other_products_and_processes_without_a_proxy_get_no_share() {
    let redis = Redis::start().await;
    let first = Node::start(&redis, "first", PATIENT).await;
    for (brand, node) in [("codexible", Some("second")), ("tollgate", None)] {
        let sharing = Sharing { url: &redis.url(), brand, answer: PATIENT, node };
        assert!(Windows::shared(sharing, Clock::system()).await.unwrap().is_shared());
    }
    let again = Node::start(&redis, "first", PATIENT).await;
    assert_eq!((first.sharing.nodes(), again.sharing.nodes()), (number(1), number(1)));
}
