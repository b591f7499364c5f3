//! Starts with many unstored records in the spool. The listeners open before all records are stored, and every limit
//! already includes them. The tests cover limits counted by one process and limits with leases.

use std::path::Path;

use access::{Clock, Credits, Ids, KeyNo, PlanId, RequestId, UserNo};
use e2e::database::on_postgres;
use e2e::{Call, Gateway, Setup, Upstream, eventually};
use meter::{Attempt, Caller, Charge, Outcome, UsageEvent};
use spool::{Record, Spool, SpoolOptions};

use crate::reconcile::agrees;
use crate::store;

const SPOOLED: u64 = 30_000;
/// Much longer than a lease takes to be granted on a busy machine.
const LEASE: &str = "{ttl: 20s, recall_wait: 10s}";
/// Requests that were in flight at the crash.
const OPEN: u64 = 5;
/// The rest of the monthly budget.
const LEFT: u64 = 3;

fn setup(upstream: &Upstream) -> Setup {
    let month = SPOOLED + OPEN + LEFT;
    Setup::routed(upstream.address(), "{path: /counted, upstreams: backend}")
        .plans(&format!("{{name: held, credits_per_day: {}}}", 2 * SPOOLED))
        .section("budgets", &format!("{{limits: [{{dimension: global, credits: {month}, per: month}}]}}"))
        .section("lease", LEASE)
        .flag("--workers")
        .flag("2")
}

fn attempt() -> Attempt {
    Attempt {
        provider: "up".into(),
        model: Some("fast".into()),
        answered_model: None,
        status: Some(200),
        upstream_id: None,
        raw_usage: None,
        usage: None,
        cost: None,
        unknown: None,
        price_version: None,
        own_credential: false,
        first_byte_us: None,
        duration_us: 1,
    }
}

/// Writes the spool of a process that crashed while the store was unavailable: `charged` events with one credit each,
/// the other events without credits, and open requests.
fn leave(data: &Path, caller: Caller, charged: u64) {
    let clock = Clock::system();
    let mut ids = Ids::new(clock.clone());
    let mut spool = Spool::open(&data.join("spool"), SpoolOptions::new(256 << 20, 2), &[]).unwrap();
    for nth in 0..SPOOLED + OPEN {
        let lane = usize::try_from(nth % 2).unwrap();
        let at = clock.now();
        let event = UsageEvent {
            id: RequestId(ids.next_uuid()),
            subject: access::Subject::Key(caller),
            started_at: at,
            day: at.day(),
            windows: Vec::new(),
            charge: Charge::credits(Credits::whole(u64::from(nth < charged || nth >= SPOOLED))),
            route: "ai".into(),
            format: Some("chat".into()),
            model: Some("fast".into()),
            streamed: false,
            status: 200,
            outcome: Outcome::Completed,
            request_bytes: 1,
            response_bytes: 1,
            duration_us: 1,
            attempts: vec![attempt()],
            refusal: None,
            origin: meter::RequestOrigin::default(),
        };
        let record = if nth < SPOOLED {
            Record::Event(event)
        } else {
            Record::Open(spool::OpenRequest {
                id: event.id,
                subject: event.subject,
                started_at: at,
                day: event.day,
                windows: Vec::new(),
                reserved: event.charge,
                route: event.route,
                format: event.format,
                model: event.model,
                price_version: None,
                origin: meter::RequestOrigin::default(),
            })
        };
        spool.writers[lane].append(&record).unwrap();
    }
}

/// Returns the only caller in the store.
async fn caller(gateway: &Gateway) -> Caller {
    let key = store::number(gateway.folder(), "SELECT no FROM api_keys").await;
    let user = store::number(gateway.folder(), "SELECT no FROM users").await;
    Caller { user: UserNo(user), key: KeyNo(key), plan: PlanId::NIL }
}

#[tokio::test]
async fn records_in_the_spool_count_before_they_are_stored() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let first = Gateway::start(setup(&upstream)).await;
    let key = first.account("held").await.key;
    let caller = caller(&first).await;
    let ended = first.stop().await;
    leave(&ended.folder.data(), caller, SPOOLED);

    let gateway = Gateway::start_in(ended.folder, setup(&upstream)).await;
    assert!(gateway.gauge("tollgate_spool_records").await > 0, "the spool was stored before the first request");
    let call = Call::get("/counted").key(&key);
    if !on_postgres() {
        // On PostgreSQL, the reported quota use follows the store.
        assert_eq!(gateway.used(&key).await, SPOOLED + OPEN);
    }
    for _ in 0..LEFT {
        assert_eq!(call.send(gateway.proxy).await.status(), 200);
    }
    assert_eq!(call.send(gateway.proxy).await.status(), 429);

    stored(&gateway, SPOOLED + OPEN + LEFT).await;
    assert_eq!(gateway.used(&key).await, SPOOLED + OPEN + LEFT);
    assert_eq!(call.send(gateway.proxy).await.status(), 429);
    // A start with an empty spool reports the same.
    let again = Gateway::start_in(gateway.stop().await.folder, setup(&upstream)).await;
    assert_eq!((again.used(&key).await, call.send(again.proxy).await.status()), (SPOOLED + OPEN + LEFT, 429));
    assert_eq!(
        store::number(again.folder(), "SELECT count(*) FROM usage_events WHERE outcome = 'interrupted'").await,
        5
    );
}

/// A process with leases crashes with usage in its spool and in the store. The next process may use exactly the rest
/// of the quota at once.
#[tokio::test]
async fn a_killed_servers_lease_ends_with_the_usage_in_its_spool() {
    const QUOTA: u64 = 100;
    const USED: u64 = 10;
    const CHARGED: u64 = 20;
    let upstream = Upstream::answering("200 OK", "fine").await;
    let setup = || {
        Setup::routed(upstream.address(), "{path: /counted, upstreams: backend}")
            .plans(&format!("{{name: held, credits_per_day: {QUOTA}}}"))
            .section("lease", LEASE)
            .flag("--workers")
            .flag("2")
    };
    let first = Gateway::start(setup()).await;
    let key = first.account("held").await.key;
    let caller = caller(&first).await;
    let call = Call::get("/counted").key(&key);
    for _ in 0..USED {
        assert_eq!(call.send(first.proxy).await.status(), 200);
    }
    stored(&first, USED).await;
    let folder = first.crash().folder;
    leave(&folder.data(), caller, CHARGED);

    let gateway = Gateway::start_in(folder, setup()).await;
    assert!(gateway.gauge("tollgate_spool_records").await > 0, "the spool was stored before the first request");
    for _ in 0..QUOTA - USED - CHARGED - OPEN {
        assert_eq!(call.send(gateway.proxy).await.status(), 200);
    }
    assert_eq!(call.send(gateway.proxy).await.status(), 429);
    stored(&gateway, QUOTA).await;
    assert_eq!(call.send(gateway.proxy).await.status(), 429);
    agrees(gateway.folder()).await;
}

/// Waits until the totals in the store contain exactly `credits` credits.
async fn stored(gateway: &Gateway, credits: u64) {
    let credits = i64::try_from(credits).unwrap();
    eventually("all credits are stored", async || {
        (store::number(gateway.folder(), "SELECT CAST(coalesce(sum(credits), 0) / 1000000 AS BIGINT) FROM daily_usage")
            .await
            == credits)
            .then_some(())
    })
    .await;
}
