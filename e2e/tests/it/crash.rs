//! `kill -9` under load: what was answered is counted, once, no quota is passed, and what was written opens again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::setup::Folder;
use e2e::{Answer, Call, Gateway, Mock, Setup, Upstream, eventually};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::bodies::{CHAT, Format};
use crate::store;

const CALLERS: usize = 16;
/// Answers at least until the server is killed.
const ANSWERS: usize = 300;
/// The oldest count that a crash may lose (10 ms), and what a busy machine adds before the server's thread has run.
const LOST: Duration = Duration::from_millis(10 + 240);

/// Calls from [`CALLERS`] at once until the server is killed amid them: the whole answers, with when they were, the
/// moment of the kill, and the server's folder.
async fn kill_under_load(gateway: Gateway, call: Call) -> (Vec<(Answer, Instant)>, Instant, Folder) {
    let answers = Arc::new(Mutex::new(Vec::new()));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (call, to, answers) = (call.clone(), gateway.proxy, Arc::clone(&answers));
        callers.spawn(async move {
            while let Ok(exchange) = call.attempt(to).await {
                let answer = exchange.rest().await;
                if answer.whole {
                    answers.lock().unwrap().push((answer.expect(200), Instant::now()));
                }
            }
        });
    }
    // Long enough that most of it is older than what a crash may lose.
    let begun = Instant::now();
    let is_enough = || answers.lock().unwrap().len() >= ANSWERS && begun.elapsed() > LOST * 8;
    eventually("the load runs", async || is_enough().then_some(())).await;
    let killed_at = Instant::now();
    let folder = gateway.crash().folder;
    callers.join_all().await;
    let answers = std::mem::take(&mut *answers.lock().unwrap());
    (answers, killed_at, folder)
}

/// The server found nothing to complain about, and neither does SQLite.
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
    // At once: what the spool held is in the store before anybody can ask.
    let usage = again.usage(&key).await;
    let counted = usage["requests"].as_u64().unwrap();
    let sent = mock.requests("tokens-1").await;
    let rows = store::all_events(again.folder()).await;
    let interrupted = rows.iter().filter(|row| row.outcome == "interrupted").count() as u64;
    // What was sent is counted, and beside it at most what nobody knows of whether it was.
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

    // A second crash and start count nothing again.
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
    assert!(due > ANSWERS as u64 / 2, "the load was too short: {due}");
    assert!((due..=sent).contains(&counted), "{due} due, {counted} counted, {sent} sent");
    let summed = "SELECT sum(requests) FROM usage_counts";
    assert_eq!(store::number(again.folder(), summed).await, i64::try_from(counted).unwrap());
    assert_opened_cleanly(&again).await;
}

/// Five times the server dies amid the load, and twice where almost nothing is left; then that is used.
#[tokio::test]
async fn a_quota_of_plain_calls_is_never_passed_whatever_dies() {
    const QUOTA: u64 = 3_000;
    /// How much is used when it dies, and how long each caller pauses: where little is left it dies before that is used.
    const ROUNDS: [(u64, Duration); 7] = [
        (300, Duration::ZERO),
        (800, Duration::ZERO),
        (1_300, Duration::ZERO),
        (1_800, Duration::ZERO),
        (QUOTA - 500, Duration::ZERO),
        (QUOTA - 60, Duration::from_millis(50)),
        (QUOTA - 25, Duration::from_millis(300)),
    ];
    /// What a crash may take of it: what is under way, and in each of two workers one block (a 256th of what is left).
    const TAKEN: u64 = CALLERS as u64 + 2 * (QUOTA / 256 + 1);
    let upstream = Upstream::answering("200 OK", "fine").await;
    let setup = || {
        Setup::routed(upstream.address(), "{path: /folded, upstreams: backend}")
            .plans(&format!("{{name: small, credits_per_day: {QUOTA}}}"))
            .patient()
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
            let (call, to) = (call.clone(), gateway.proxy);
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
        let counted = eventually("what was sent counts", counted).await;
        assert!(counted <= sent() + rounds * TAKEN, "{counted} counted, {} sent, in round {rounds}", sent());
    }
    let status = async || call.send(gateway.proxy).await.status();
    while eventually("it is judged", async || Some(status().await).filter(|status| *status != 503)).await == 200 {}
    assert!((QUOTA - rounds * TAKEN..=QUOTA).contains(&sent()), "{} of {QUOTA} sent", sent());
    let counted = "SELECT (SELECT sum(credits) FROM usage_counts) + (SELECT coalesce(sum(credits), 0) FROM usage_events \
                   WHERE refusal IS NULL)";
    let all = i64::try_from(QUOTA).unwrap();
    let stored = async || Some(store::number(gateway.folder(), counted).await).filter(|counted| *counted == all);
    eventually("all of it is in the store", stored).await;
    let strange = "SELECT count(*) FROM usage_events WHERE outcome <> 'interrupted'";
    assert_eq!(store::number(gateway.folder(), strange).await, 0);
    assert_opened_cleanly(&gateway).await;
}
