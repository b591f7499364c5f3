//! A start over much that an earlier run spooled: its ports are open before all of that is stored, and each limit knows of it,
//! whether this process counts alone or is lent its quotas.

use std::path::Path;

use access::{Clock, Ids, KeyNo, PlanId, RequestId, UserNo};
use e2e::database::on_postgres;
use e2e::{Call, Gateway, Setup, Upstream, eventually};
use meter::{Attempt, Caller, Charge, Outcome, UsageEvent};
use spool::{Record, Spool, SpoolOptions};

use crate::reconcile::agrees;
use crate::store;

const SPOOLED: u64 = 30_000;
/// Far longer than leases take to come, whatever else the machine does.
const LEASE: &str = "{ttl: 20s, recall_wait: 10s}";
/// Open when that run died.
const OPEN: u64 = 5;
/// What is left of the month's budget.
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
        first_byte_us: None,
        duration_us: 1,
    }
}

/// Appends what a run leaves that dies amid its calls while the store takes nothing: so many `charged` a credit each, and others.
fn leave(data: &Path, caller: Caller, charged: u64) {
    let clock = Clock::system();
    let mut ids = Ids::new(clock.clone());
    let mut spool = Spool::open(&data.join("spool"), SpoolOptions::new(256 << 20, 2), &[]).unwrap();
    for nth in 0..SPOOLED + OPEN {
        let (lane, at) = (usize::try_from(nth % 2).unwrap(), clock.now());
        let event = UsageEvent {
            id: RequestId(ids.next_uuid()),
            caller: Some(caller),
            started_at: at,
            day: at.day(),
            charge: Charge::credits(u64::from(nth < charged || nth >= SPOOLED)),
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
        };
        let record = if nth < SPOOLED {
            Record::Event(event)
        } else {
            Record::Open(spool::OpenRequest {
                id: event.id,
                caller: event.caller,
                started_at: at,
                day: event.day,
                reserved: event.charge,
                route: event.route,
                format: event.format,
                model: event.model,
                price_version: None,
            })
        };
        spool.writers[lane].append(&record).unwrap();
    }
}

/// The one caller that there is.
async fn caller(gateway: &Gateway) -> Caller {
    let key = store::number(gateway.folder(), "SELECT no FROM api_keys").await;
    let user = store::number(gateway.folder(), "SELECT no FROM users").await;
    Caller { user: UserNo(user), key: KeyNo(key), plan: PlanId::NIL }
}

#[tokio::test]
async fn what_waits_in_the_spool_counts_before_it_is_stored() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let first = Gateway::start(setup(&upstream)).await;
    let key = first.account("held").await.key;
    let caller = caller(&first).await;
    let ended = first.stop().await;
    leave(&ended.folder.data(), caller, SPOOLED);

    let gateway = Gateway::start_in(ended.folder, setup(&upstream)).await;
    assert!(gateway.gauge("tollgate_spool_records").await > 0, "it was stored before anybody could call");
    let call = Call::get("/counted").key(&key);
    if !on_postgres() {
        // There the quota is told as it is stored.
        assert_eq!(gateway.used(&key).await, SPOOLED + OPEN);
    }
    for _ in 0..LEFT {
        assert_eq!(call.send(gateway.proxy).await.status(), 200);
    }
    assert_eq!(call.send(gateway.proxy).await.status(), 429);

    stored(&gateway, SPOOLED + OPEN + LEFT).await;
    assert_eq!(gateway.used(&key).await, SPOOLED + OPEN + LEFT);
    assert_eq!(call.send(gateway.proxy).await.status(), 429);
    // A start over nothing says the same.
    let again = Gateway::start_in(gateway.stop().await.folder, setup(&upstream)).await;
    assert_eq!((again.used(&key).await, call.send(again.proxy).await.status()), (SPOOLED + OPEN + LEFT, 429));
    assert_eq!(
        store::number(again.folder(), "SELECT count(*) FROM usage_events WHERE outcome = 'interrupted'").await,
        5
    );
}

/// A run that was lent its quota dies with some of it used, in its spool and in the store; the next one is lent all the rest at once,
/// and not one credit more.
#[tokio::test]
async fn what_a_killed_run_was_lent_is_free_again_by_what_waits_in_its_spool() {
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
    let (caller, call) = (caller(&first).await, Call::get("/counted").key(&key));
    for _ in 0..USED {
        assert_eq!(call.send(first.proxy).await.status(), 200);
    }
    stored(&first, USED).await;
    let folder = first.crash().folder;
    leave(&folder.data(), caller, CHARGED);

    let gateway = Gateway::start_in(folder, setup()).await;
    assert!(gateway.gauge("tollgate_spool_records").await > 0, "it was stored before anybody could call");
    for _ in 0..QUOTA - USED - CHARGED - OPEN {
        assert_eq!(call.send(gateway.proxy).await.status(), 200);
    }
    assert_eq!(call.send(gateway.proxy).await.status(), 429);
    stored(&gateway, QUOTA).await;
    assert_eq!(call.send(gateway.proxy).await.status(), 429);
    agrees(gateway.folder()).await;
}

/// Waits until so many credits are in the store's totals.
async fn stored(gateway: &Gateway, credits: u64) {
    let credits = i64::try_from(credits).unwrap();
    eventually("all of it is stored", async || {
        (store::number(gateway.folder(), "SELECT coalesce(sum(credits), 0) FROM daily_usage").await == credits)
            .then_some(())
    })
    .await;
}
