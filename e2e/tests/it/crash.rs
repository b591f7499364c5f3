//! SIGKILL under load: every answered request is counted once, no quota is exceeded, and the files remain readable.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::setup::Folder;
use e2e::{Answer, Call, Gateway, Mock, Setup, Upstream, eventually};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::bodies::{CHAT, Format};
use crate::store;

const CALLERS: usize = 16;
/// Minimum number of responses before the server is killed.
const ANSWERS: usize = 300;
/// The maximum age of counts that a crash may lose (10 ms), plus the delay until the server's thread runs on a busy
/// machine.
const LOST: Duration = Duration::from_millis(10 + 240);

/// Sends requests from [`CALLERS`] clients at once until the server is killed.
///
/// Returns the complete responses with their times, the time of the kill, and the server's folder.
async fn kill_under_load(gateway: Gateway, call: Call) -> (Vec<(Answer, Instant)>, Instant, Folder) {
    let answers = Arc::new(Mutex::new(Vec::new()));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let call = call.clone();
        let to = gateway.proxy;
        let answers = Arc::clone(&answers);
        callers.spawn(async move {
            while let Ok(exchange) = call.attempt(to).await {
                let answer = exchange.rest().await;
                if answer.whole {
                    answers.lock().unwrap().push((answer.expect(200), Instant::now()));
                }
            }
        });
    }
    // Long enough that most responses are older than the counts that a crash may lose.
    let begun = Instant::now();
    let is_enough = || answers.lock().unwrap().len() >= ANSWERS && begun.elapsed() > LOST * 8;
    eventually("the load runs", async || is_enough().then_some(())).await;
    let killed_at = Instant::now();
    let folder = gateway.crash().folder;
    callers.join_all().await;
    let answers = std::mem::take(&mut *answers.lock().unwrap());
    (answers, killed_at, folder)
}

/// Asserts that the server logged no warning and that the integrity check of SQLite passes.
async fn assert_opened_cleanly(gateway: &Gateway) {
    let log = gateway.stderr();
    let complaint = log.lines().find(|line| line.contains("\"WARN\"") || line.contains("\"ERROR\""));
    assert_eq!(complaint, None);
    assert_eq!(store::integrity(gateway.folder()).await, "ok");
}

#[tokio::test]
async fn every_llm_request_that_was_answered_is_counted_once() {
    let mock = Mock::start().await;
    let setup = || Setup::provider("mock", mock.address());
    let gateway = Gateway::start(setup()).await;
    let key = gateway.key().await;
    let call = Call::json(CHAT, &Format::Chat.body("up/tokens-1", false)).key(&key);
    let (answers, _, folder) = kill_under_load(gateway, call).await;

    let again = Gateway::start_in(folder, setup()).await;
    // At once: the spool is stored before the server answers requests.
    let usage = again.usage(&key).await;
    let counted = usage["requests"].as_u64().unwrap();
    let sent = mock.requests("tokens-1").await;
    let rows = store::all_events(again.folder()).await;
    let interrupted = rows.iter().filter(|row| row.outcome == "interrupted").count() as u64;
    // All forwarded requests are counted, and at most the interrupted ones in addition: it is unknown whether those
    // were sent.
    assert!(answers.len() as u64 <= sent && interrupted <= CALLERS as u64, "{sent} sent, {interrupted} interrupted");
    assert!(
        (sent..=sent + interrupted).contains(&counted),
        "{counted} counted, {sent} sent, {interrupted} interrupted"
    );
    assert_eq!((again.used(&key).await, &usage["credits"]), (counted, &counted.into()), "{usage}");

    assert_eq!(rows.len() as u64, counted);
    for (answer, _) in &answers {
        let id = store::id(&answer.head);
        let row = rows.iter().find(|row| row.id == id).unwrap_or_else(|| panic!("{id} is not in the store"));
        assert_eq!((row.status, row.outcome.as_str()), (200, "completed"));
    }
    assert_opened_cleanly(&again).await;

    // A second crash and start count no request again.
    let third = Gateway::start_in(again.crash().folder, setup()).await;
    assert_eq!(third.usage(&key).await["requests"], counted);
    assert_opened_cleanly(&third).await;
}

#[tokio::test]
async fn folded_requests_are_lost_for_10_ms_at_most() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let setup = || Setup::routed(upstream.address(), "{path: /folded, upstreams: backend}");
    let gateway = Gateway::start(setup()).await;
    let key = gateway.key().await;
    let call = Call::get("/folded").key(&key);
    let (answers, killed_at, folder) = kill_under_load(gateway, call).await;

    let again = Gateway::start_in(folder, setup()).await;
    let counted = again.usage(&key).await["requests"].as_u64().unwrap();
    let due = answers.iter().filter(|(_, at)| *at + LOST < killed_at).count() as u64;
    let sent = upstream.seen().len() as u64;
    assert!(due > ANSWERS as u64 / 2, "the load ended too early: {due}");
    assert!((due..=sent).contains(&counted), "{due} due, {counted} counted, {sent} sent");
    let summed = "SELECT sum(requests) FROM usage_counts";
    assert_eq!(store::number(again.folder(), summed).await, i64::try_from(counted).unwrap());
    assert_opened_cleanly(&again).await;
}

/// The server is killed five times under load and twice with almost no quota left; then the rest of the quota is used.
#[tokio::test]
async fn a_quota_of_plain_calls_is_never_passed_whatever_dies() {
    const QUOTA: u64 = 3_000;
    /// Used credits at each kill, and the pause of each client: with little quota left the kill comes before it is
    /// used up.
    const ROUNDS: [(u64, Duration); 7] = [
        (300, Duration::ZERO),
        (800, Duration::ZERO),
        (1_300, Duration::ZERO),
        (1_800, Duration::ZERO),
        (QUOTA - 500, Duration::ZERO),
        (QUOTA - 60, Duration::from_millis(50)),
        (QUOTA - 25, Duration::from_millis(300)),
    ];
    /// The credits that a crash may lose: requests in flight, and one block in each of two workers (1/256 of the rest
    /// of the quota).
    const TAKEN: u64 = CALLERS as u64 + 2 * (QUOTA / 256 + 1);
    let upstream = Upstream::answering("200 OK", "fine").await;
    let setup = || {
        Setup::routed(upstream.address(), "{path: /folded, upstreams: backend}")
            .plans(&format!("{{name: small, credits_per_day: {QUOTA}}}"))
    };
    let sent = || upstream.seen().len() as u64;
    let mut gateway = Gateway::start(setup()).await;
    let key = gateway.account("small").await.key;
    let call = Call::get("/folded").key(&key);
    let mut rounds = 0;
    for (due, pause) in ROUNDS {
        rounds += 1;
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let call = call.clone();
            let to = gateway.proxy;
            callers.spawn(async move {
                while call.attempt(to).await.is_ok() {
                    tokio::time::sleep(pause).await;
                }
            });
        }
        eventually("the load runs", async || (gateway.used(&key).await >= due).then_some(())).await;
        gateway = Gateway::start_in(gateway.crash().folder, setup()).await;
        callers.join_all().await;
        let counted = async || Some(gateway.used(&key).await).filter(|used| (sent()..=QUOTA).contains(used));
        let counted = eventually("forwarded requests are counted", counted).await;
        assert!(counted <= sent() + rounds * TAKEN, "{counted} counted, {} sent, in round {rounds}", sent());
    }
    let status = async || call.send(gateway.proxy).await.status();
    while eventually("the quota decides", async || Some(status().await).filter(|status| *status != 503)).await == 200 {}
    assert!((QUOTA - rounds * TAKEN..=QUOTA).contains(&sent()), "{} of {QUOTA} sent", sent());
    let counted = "SELECT CAST(((SELECT sum(credits) FROM usage_counts) + (SELECT coalesce(sum(credits), 0) \
                   FROM usage_events WHERE refusal IS NULL)) / 1000000 AS BIGINT)";
    let all = i64::try_from(QUOTA).unwrap();
    let stored = async || Some(store::number(gateway.folder(), counted).await).filter(|counted| *counted == all);
    eventually("the whole quota is in the store", stored).await;
    let strange = "SELECT count(*) FROM usage_events WHERE outcome <> 'interrupted'";
    assert_eq!(store::number(gateway.folder(), strange).await, 0);
    assert_opened_cleanly(&gateway).await;
}
