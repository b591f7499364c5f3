//! 1,000 streams over three servers, whose targets fail at random, and one server is killed. No budget is exceeded, each
//! attempt of the servers that live has its row, and no client gets a short answer that looks whole. What the dead server had not
//! ended counts with its whole reservation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use e2e::database::Database;
use e2e::setup::Folder;
use e2e::{Call, Gateway, Mock, Setup};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::tally::{assert_audited, assert_counts_agree, rests};
use crate::bodies::{CHAT, Format};
use crate::store;

const STREAMS: usize = 1_000;
const AT_ONCE: usize = 300;
/// The stream after which a server is killed.
const KILLED_AFTER: usize = 400;
/// The budget in nano-USD. A stream costs 0.03 USD, and so does each failed attempt whose cost is unknown.
const BUDGET: i64 = 40_000_000_000;
/// What serves a call, and what fails before any content.
const SERVES: &str = "tokens-6-20";
const FAULTS: [&str; 4] = ["500", "close", "reset-head", "html"];

/// Returns the setup of a server whose provider has this name.
fn setup(provider: &str, mock: &Mock) -> Setup {
    let target = |model: &str, weight: u32| format!("{{provider: {provider}, model: \"{model}\", weight: {weight}}}");
    let faults = FAULTS.map(|fault| target(fault, 1)).join(", ");
    let rules = "retry: {attempts: 8, backoff: 1ms}, cooldown: {failures: 1000}, sticky: off";
    let price = |model: &str| format!("{{model: \"{provider}/{model}\", input: \"1\", output: \"5000\"}}");
    let prices = [&FAULTS[..], &[SERVES]].concat().into_iter().map(price).collect::<Vec<_>>().join(", ");
    Setup::new()
        .section("providers", &format!("[{}]", e2e::setup::provider(provider, "mock", mock.address())))
        .section(
            "models",
            &format!("[{{name: smart, strategy: weighted, targets: [{faults}, {}], {rules}}}]", target(SERVES, 2)),
        )
        .section("prices", &format!("[{prices}]"))
        .section("budgets", "{limits: [{dimension: global, money: \"40 USD\", per: day}]}")
        .section("lease", "{ttl: 3s, recall_wait: 10s}")
        // A busy machine connects slowly.
        .section("timeouts", "{connect: 15s}")
        .section("connections", "{max: 5000, per_address: 5000}")
}

/// How the streams ended.
#[derive(Debug, Default)]
struct StreamCounts {
    begun: AtomicUsize,
    served: AtomicUsize,
    refused: AtomicUsize,
    /// Without a response, or with a part of one.
    lost: AtomicUsize,
}

impl StreamCounts {
    fn add(count: &AtomicUsize) {
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads one stream to its end.
    async fn stream(&self, call: Call, to: std::net::SocketAddr) {
        Self::add(&self.begun);
        let Ok(exchange) = call.attempt(to).await else { return Self::add(&self.lost) };
        let answer = exchange.rest().await;
        let text = answer.text();
        match answer.status() {
            200 if answer.whole => {
                assert!(text.ends_with("data: [DONE]\n\n"), "a short answer looks whole: {text}");
                assert_eq!(text.matches("\"role\":\"assistant\"").count(), 1, "two answers in one: {text}");
                Self::add(&self.served);
            }
            200 => Self::add(&self.lost),
            // The budget is used up, or a dead server's lease may have the rest.
            429 | 503 => {
                assert!(text.contains("insufficient_quota") || text.contains("quota_withheld"), "{text}");
                Self::add(&self.refused);
            }
            status => panic!("{status} {text}"),
        }
    }
}

#[tokio::test]
async fn targets_fail_and_a_server_dies_and_each_attempt_has_its_row() {
    let mock = Mock::start().await;
    let apart = Mock::start().await;
    let first = Folder::on_postgres(Database::new());
    let folders = [first.beside(), first.beside()];
    let one = Gateway::start_in(first, setup("up", &mock)).await;
    let key = one.key().await;
    let [second, third] = folders;
    let other = Gateway::start_in(second, setup("up", &mock)).await;
    let dies = Gateway::start_in(third, setup("apart", &apart)).await;
    let counts = Arc::new(StreamCounts::default());
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let at = [one.proxy, other.proxy, dies.proxy];
    let mut body = Format::Chat.body("smart", true);
    body["max_completion_tokens"] = 6.into();
    let mut streams = JoinSet::new();
    for nth in 0..STREAMS {
        let counts = counts.clone();
        let turns = turns.clone();
        let call = Call::json(CHAT, &body).key(&key);
        streams.spawn(async move {
            let _turn = turns.acquire().await.unwrap();
            counts.stream(call, at[nth % at.len()]).await;
        });
    }
    while counts.begun.load(Ordering::Relaxed) < KILLED_AFTER {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let folder = dies.crash().folder;
    streams.join_all().await;
    let back = Gateway::start_in(folder, setup("apart", &apart)).await;
    for node in [&one, &other, &back] {
        rests(node).await;
    }
    let served = counts.served.load(Ordering::Relaxed);
    assert!(served >= 300, "the servers that live serve: {counts:?}");
    assert!(counts.lost.load(Ordering::Relaxed) >= STREAMS / 10, "a server was killed: {counts:?}");
    let folder = one.folder();
    let charged = store::number(folder, "SELECT coalesce(sum(charged_nano), 0) FROM usage_events").await;
    assert!(charged <= BUDGET, "{charged} of {BUDGET}: {counts:?}");
    let unlike = "SELECT count(*) FROM usage_events e WHERE attempts > 1
        AND attempts <> (SELECT count(*) FROM usage_attempts a WHERE a.event_id = e.id)";
    assert_eq!(store::number(folder, unlike).await, 0, "an attempt has no row: {counts:?}");
    let of_living = "SELECT coalesce(sum(attempts), 0) FROM usage_events e JOIN names n ON n.no = e.provider_no WHERE n.name = 'up'";
    let of_dead = "SELECT coalesce(sum(attempts), 0) FROM usage_events e JOIN names n ON n.no = e.provider_no WHERE n.name = 'apart'";
    let seen = async |mock: &Mock| i64::try_from(mock.models().await.values().sum::<u64>()).unwrap();
    assert_eq!(store::number(folder, of_living).await, seen(&mock).await, "each attempt is recorded: {counts:?}");
    assert!(store::number(folder, of_dead).await <= seen(&apart).await, "no attempt is recorded twice: {counts:?}");
    let interrupted = store::number(folder, "SELECT count(*) FROM usage_events WHERE outcome = 'interrupted'").await;
    assert!(interrupted > 0, "the server was killed under load: {counts:?}");
    assert_counts_agree(folder).await;
    assert_audited(folder).await;
}
