//! A start over much that an earlier run spooled: its ports are open before all of that is stored, and each limit knows of it.

use access::{Clock, Ids, KeyNo, PlanId, RequestId, UserNo};
use e2e::database::on_postgres;
use e2e::gateway::Ended;
use e2e::{Call, Gateway, Setup, Upstream, eventually};
use meter::{Attempt, Caller, Charge, Outcome, UsageEvent};
use spool::{Options, Record, Spool};

use crate::store;

const SPOOLED: u64 = 40_000;
/// Open when that run died.
const OPEN: u64 = 5;
/// What is left of the month's budget.
const LEFT: u64 = 3;

fn setup(upstream: &Upstream) -> Setup {
    let month = SPOOLED + OPEN + LEFT;
    Setup::routed(upstream.address(), "{path: /counted, upstreams: backend}")
        .plans(&format!("{{name: held, credits_per_day: {}}}", 2 * SPOOLED))
        .section("budgets", &format!("{{limits: [{{dimension: global, credits: {month}, per: month}}]}}"))
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
        price_version: None,
        first_byte_us: None,
        duration_us: 1,
    }
}

/// Appends what a run leaves that dies amid its calls while the store takes nothing.
fn leave(ended: &Ended, caller: Caller) {
    let clock = Clock::system();
    let mut ids = Ids::new(clock.clone());
    let mut spool = Spool::open(&ended.folder.data().join("spool"), Options::new(256 << 20, 2), &[]).unwrap();
    for nth in 0..SPOOLED + OPEN {
        let (lane, at) = (usize::try_from(nth % 2).unwrap(), clock.now());
        let event = UsageEvent {
            id: RequestId(ids.next_uuid()),
            caller: Some(caller),
            started_at: at,
            day: at.day(),
            charge: Charge::credits(1),
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
            Record::Open(spool::Opened {
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
    if on_postgres() {
        return;
    }
    let upstream = Upstream::answering("200 OK", "fine").await;
    let first = Gateway::start(setup(&upstream)).await;
    let key = first.account("held").await.key;
    let caller = caller(&first).await;
    let ended = first.stop().await;
    leave(&ended, caller);

    let gateway = Gateway::start_in(ended.folder, setup(&upstream)).await;
    let call = Call::get("/counted").key(&key);
    assert_eq!(gateway.used(&key).await, SPOOLED + OPEN);
    for _ in 0..LEFT {
        assert_eq!(call.send(gateway.proxy).await.status(), 200);
    }
    assert_eq!(call.send(gateway.proxy).await.status(), 429);
    assert!(gateway.gauge("tollgate_spool_records").await > 0, "it was stored before anybody called");

    let all = i64::try_from(SPOOLED + OPEN + LEFT).unwrap();
    eventually("all of it is stored", async || {
        (store::number(gateway.folder(), "SELECT sum(credits) FROM daily_usage").await == all).then_some(())
    })
    .await;
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
