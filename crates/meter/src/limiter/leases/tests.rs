use std::num::NonZeroU32;

use access::Mono;
use proptest::prelude::*;

use super::*;
use crate::limiter::RequestTerms;
use crate::rate::{Bucket, Rate};
use crate::window::{Window, WindowLog};

const TAG: u64 = 7;
const BEGIN: u64 = 1_000_000_000_000_000;

fn number(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap()
}

fn window(limit: u32) -> RequestTerms {
    RequestTerms::SlidingWindow(Window::new(number(limit), Duration::from_secs(60)))
}

fn bucket(limit: u32) -> RequestTerms {
    RequestTerms::TokenBucket(Rate::per_minute(number(limit)))
}

fn grant(requests: u32, counted_ms: u64) -> GrantedRequests {
    let valid = Duration::from_secs(10);
    GrantedRequests { requests, counted_ms, valid, left: 0, reset: valid, retry_after: Duration::ZERO }
}

/// Redis: counts the granted requests as its scripts do.
struct Counts {
    terms: RequestTerms,
    window: WindowLog,
    full_at: u64,
}

impl Counts {
    fn grant(&mut self, want: u32, parts: u32, now: Mono) -> GrantedRequests {
        let granted = |left: u32| if left == 0 { 0 } else { want.min((left / parts).max(1)) };
        match self.terms {
            RequestTerms::SlidingWindow(window) => {
                let now_ms = now.0 / 1_000_000;
                let requests = granted(self.window.view(window, now_ms).remaining);
                let counted_ms = self.window.add(window.span(), requests.into(), now_ms);
                let view = self.window.view(window, now_ms);
                GrantedRequests {
                    requests,
                    counted_ms,
                    valid: Duration::from_millis(window.length_ms()),
                    left: view.remaining,
                    reset: Duration::from_millis(view.reset_ms),
                    retry_after: Duration::from_millis(view.retry_after_ms),
                }
            }
            RequestTerms::TokenBucket(rate) => {
                let burst_nanos = rate.interval_nanos() * u64::from(rate.burst());
                let full_nanos = self.full_at.saturating_sub(now.0);
                let left = u32::try_from((burst_nanos - full_nanos) / rate.interval_nanos()).unwrap();
                let requests = granted(left);
                let full_nanos = full_nanos + u64::from(requests) * rate.interval_nanos();
                self.full_at = now.0 + full_nanos;
                let free_nanos = burst_nanos - full_nanos;
                GrantedRequests {
                    requests,
                    counted_ms: 0,
                    valid: Duration::from_nanos(full_nanos),
                    left: left - requests,
                    reset: Duration::from_nanos(full_nanos),
                    retry_after: Duration::from_nanos(rate.interval_nanos().saturating_sub(free_nanos)),
                }
            }
        }
    }
}

/// The limit as one process would apply it. A window may also have what nodes were granted earlier and spend now.
enum Reference {
    Window { window: Window, granted_max: usize, passed: Vec<u64> },
    Bucket(Rate, Bucket),
}

impl Reference {
    fn admits(&mut self, now: Mono) -> bool {
        match self {
            Self::Window { window, granted_max, passed } => {
                let now_ms = now.0 / 1_000_000;
                passed.retain(|at| at + window.length_ms() > now_ms);
                passed.push(now_ms);
                passed.len() <= window.limit() as usize + *granted_max
            }
            Self::Bucket(rate, bucket) => bucket.take(*rate, now).is_ok(),
        }
    }
}

struct Nodes {
    leases: Vec<KeyLeases>,
    redis: Counts,
    reference: Reference,
    /// Batches that were requested ahead, and have not arrived.
    on_the_way: Vec<(usize, u32, Mono)>,
}

impl Nodes {
    fn new(terms: RequestTerms, nodes: usize) -> Self {
        let reference = match terms {
            RequestTerms::SlidingWindow(window) => {
                let batch = terms.batch(number(u32::try_from(nodes).unwrap())).get() as usize;
                Reference::Window { window, granted_max: nodes * (batch + batch / 2), passed: Vec::new() }
            }
            RequestTerms::TokenBucket(rate) => Reference::Bucket(rate, Bucket::default()),
        };
        let leases = (0..nodes).map(|_| KeyLeases::default()).collect();
        let redis = Counts { terms, window: WindowLog::default(), full_at: 0 };
        Self { leases, redis, reference, on_the_way: Vec::new() }
    }

    fn parts(&self) -> u32 {
        4 * u32::try_from(self.leases.len()).unwrap()
    }

    /// Lets a node count a request. Returns whether it was admitted.
    fn request(&mut self, node: usize, now: Mono) -> bool {
        let terms = self.redis.terms;
        let batch = terms.batch(number(u32::try_from(self.leases.len()).unwrap()));
        let admitted = match self.leases[node].take(TAG, terms, batch, now) {
            LeaseTake::Counted(counted) => {
                if let Some(want) = counted.refill {
                    self.on_the_way.push((node, want.get(), now));
                }
                true
            }
            LeaseTake::Refused(_) => false,
            LeaseTake::Short(want) => {
                let grant = self.redis.grant(want.get(), self.parts(), now);
                if want > NonZeroU32::MIN {
                    self.leases[node].end_ask(TAG);
                }
                self.leases[node].add(
                    TAG,
                    &GrantedRequests { requests: grant.requests.saturating_sub(1), ..grant },
                    now,
                );
                grant.requests > 0
            }
        };
        if admitted {
            assert!(self.reference.admits(now), "the nodes admit more than the limit");
        }
        admitted
    }

    /// Lets the batches arrive that were requested ahead; some are lost.
    fn arrive(&mut self, lost: bool, now: Mono) {
        for (node, want, sent) in std::mem::take(&mut self.on_the_way) {
            let grant = self.redis.grant(want, self.parts(), now);
            if !lost {
                self.leases[node].end_ask(TAG);
                self.leases[node].add(TAG, &grant, sent);
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Requests(usize, u32),
    Arrive(bool),
    Wait(u64),
}

fn step(nodes: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..nodes, 1_u32..60).prop_map(|(node, requests)| Step::Requests(node, requests)),
        3 => prop::bool::weighted(0.1).prop_map(Step::Arrive),
        3 => (0_u64..400_000_000).prop_map(Step::Wait),
        1 => (0_u64..70_000_000_000).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn nodes_together_admit_the_limit_and_at_most_what_they_were_granted_before(
        limit in 101_u32..3_000,
        is_bucket in any::<bool>(),
        steps in prop::collection::vec(step(3), 1..120),
    ) {
        let mut nodes = Nodes::new(if is_bucket { bucket(limit) } else { window(limit) }, 3);
        let mut now = Mono(BEGIN);
        for step in steps {
            match step {
                Step::Requests(node, requests) => {
                    for _ in 0..requests {
                        nodes.request(node, now);
                    }
                }
                Step::Arrive(lost) => nodes.arrive(lost, now),
                Step::Wait(nanos) => now = Mono(now.0 + nanos),
            }
        }
    }

    #[test]
    fn nodes_use_at_least_95_percent_of_a_limit(
        limit in 101_u32..20_000,
        is_bucket in any::<bool>(),
        order in prop::collection::vec((0_usize..3, prop::bool::weighted(0.3)), 1..40),
    ) {
        let mut nodes = Nodes::new(if is_bucket { bucket(limit) } else { window(limit) }, 3);
        let mut admitted = 0_u32;
        let now = Mono(BEGIN);
        // Each node in turn receives some requests; at last, one node receives as many as the limit.
        for (node, arrives) in order {
            for _ in 0..limit / 50 {
                admitted += u32::from(nodes.request(node, now));
            }
            if arrives {
                nodes.arrive(false, now);
            }
        }
        for _ in 0..2 * limit {
            admitted += u32::from(nodes.request(0, now));
            nodes.arrive(false, now);
        }
        prop_assert!(admitted <= limit && u64::from(admitted) * 100 >= u64::from(limit) * 95, "{} of {}", admitted, limit);
    }
}

#[test]
fn a_grant_is_spent_until_it_leaves_the_window_and_refilled_at_its_half() {
    let leases = KeyLeases::default();
    let terms = window(10_000);
    let batch = number(10);
    let now = Mono(BEGIN);
    assert_eq!(leases.take(TAG, terms, batch, now), LeaseTake::Short(batch));
    // A second request of the same moment asks for itself only.
    assert_eq!(leases.take(TAG, terms, batch, now), LeaseTake::Short(NonZeroU32::MIN));
    leases.end_ask(TAG);
    leases.add(TAG, &grant(9, 5), now);
    let mut refills = Vec::new();
    for spent in 1..=9 {
        let LeaseTake::Counted(counted) = leases.take(TAG, terms, batch, now) else { panic!("{spent}") };
        assert_eq!((counted.counted_ms, counted.level.remaining), (5, 9 - spent));
        refills.extend(counted.refill.map(|_| spent));
    }
    assert_eq!(refills, [4]);
    assert_eq!(leases.take(TAG, terms, batch, now), LeaseTake::Short(NonZeroU32::MIN));
    leases.give_back(TAG, 5);
    // A request of another window or of a key without grants is not given back.
    leases.give_back(TAG, 4);
    leases.give_back(TAG + 1, 5);
    let late = Mono(now.0 + 10_000_000_000);
    assert_eq!(leases.take(TAG, terms, batch, late), LeaseTake::Short(batch));
    assert!(matches!(leases.take(TAG, terms, batch, now), LeaseTake::Counted(_)));
    assert!(matches!(leases.take(TAG, terms, batch, now), LeaseTake::Short(_)));
}

#[test]
fn a_refusal_is_applied_for_a_time_and_then_asked_again() {
    let leases = KeyLeases::default();
    let terms = window(10_000);
    let batch = number(10);
    let retry_after = Duration::from_secs(30);
    leases.add(TAG, &GrantedRequests { requests: 0, retry_after, reset: retry_after, ..grant(0, 5) }, Mono(BEGIN));
    let LeaseTake::Refused(exceeded) = leases.take(TAG, terms, batch, Mono(BEGIN + 400_000_000)) else { panic!() };
    assert_eq!((exceeded.limit, exceeded.retry_after), (10_000, Duration::from_millis(29_600)));
    assert_eq!(leases.take(TAG, terms, batch, Mono(BEGIN + 500_000_000)), LeaseTake::Short(batch));
}

#[test]
fn keys_without_a_place_get_no_grants_ahead_and_places_without_a_use_are_freed() {
    let leases = KeyLeases::default();
    let terms = window(10_000);
    let batch = number(10);
    // All of these tags are in one part.
    let tag = |nth: usize| u64::try_from(nth + 1).unwrap();
    for nth in 0..KEYS_MAX {
        leases.add(tag(nth), &grant(5, 5), Mono(BEGIN));
    }
    let new = tag(KEYS_MAX);
    // The second time, the part is not searched again.
    for _ in 0..2 {
        assert_eq!(leases.take(new, terms, batch, Mono(BEGIN)), LeaseTake::Short(NonZeroU32::MIN));
    }
    assert!(matches!(leases.take(tag(0), terms, batch, Mono(BEGIN)), LeaseTake::Counted(_)));
    let after = Mono(BEGIN + 11_000_000_000);
    assert_eq!(leases.take(new, terms, batch, after), LeaseTake::Short(batch));
}

#[test]
fn batches_are_a_fiftieth_of_a_limit_for_all_nodes_together() {
    for (limit, nodes, expected) in [(101, 1, 2), (101, 2, 1), (1_000, 2, 10), (1_000_000, 4, 5_000), (1, 1_024, 1)] {
        assert_eq!(window(limit).batch(number(nodes)), number(expected), "{limit} {nodes}");
        assert_eq!(bucket(limit).batch(number(nodes)), number(expected), "{limit} {nodes}");
    }
    let rate = Rate::per_minute(number(1_000)).with_burst(number(100));
    assert_eq!(RequestTerms::TokenBucket(rate).batch(number(1)), number(2));
}

#[test]
fn a_share_is_the_limit_divided_by_the_nodes_and_at_least_one() {
    for (limit, nodes, expected) in [(100, 2, 50), (100, 3, 33), (1, 5, 1), (100, 1, 100)] {
        let RequestTerms::SlidingWindow(window) = window(limit).share(number(nodes)) else { panic!() };
        assert_eq!(window.limit(), expected);
        let RequestTerms::TokenBucket(rate) = bucket(limit).share(number(nodes)) else { panic!() };
        assert_eq!(rate.burst(), expected);
        let bucket = Bucket::default();
        let admitted = (0..2 * limit).map(|_| bucket.take(rate, Mono(BEGIN))).filter(Result::is_ok).count();
        assert_eq!(admitted, usize::try_from(expected).unwrap());
    }
}
