use access::{
    Clock, Credits, Day, Ids, KeyNo, NanoUsd, Plan, PlanId, RequestId, Secret, TicketHash, Tokens, UserId, UserNo,
};
use meter::{Attempt, Caller, Charge, Counts, Outcome, Source, Usage, UsageEvent};
use spool::{Record, Spool};
use sqlx::AssertSqlSafe;

use super::*;
use crate::fixture::{Place, tell};
use crate::ingest::{IngestStats, drain, positions};
use crate::{Ledger, SeriesFilter, SeriesGroup, SeriesStep};
use store::{
    Actor, Email, NewLink, NewRefresh, NewSession, NewUser, Options, Purpose, RefreshResult, Session, SessionCredential,
};

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const KEPT: RetentionTimes = RetentionTimes { events: Some(KEEP), raw_usage: None };
const FOREVER: RetentionTimes = RetentionTimes { events: None, raw_usage: None };
const KEEP: Duration = DAY.saturating_mul(90);
const CALLER: Caller = Caller { user: UserNo(1), key: KeyNo(2), plan: PlanId::NIL };

async fn open(place: &Place, clock: &Clock) -> Store {
    let url = place.url.as_ref();
    let data = place.folder.path();
    Store::open(Options { url, data, migrate: true, clock: clock.clone() }).await.unwrap()
}

fn attempt() -> Attempt {
    Attempt {
        provider: "mock".into(),
        model: None,
        answered_model: None,
        status: Some(200),
        upstream_id: None,
        raw_usage: None,
        usage: Some(Usage { input: Some(Tokens(1)), ..Usage::empty(Source::Reported) }),
        cost: Some(NanoUsd(1)),
        unknown: None,
        price_version: None,
        own_credential: false,
        first_byte_us: None,
        duration_us: 1,
    }
}

/// Creates records at the clock's time: events of two attempts each, and one minute's counts.
fn records(clock: &Clock, events: usize) -> Vec<Record> {
    let mut ids = Ids::new(clock.clone());
    let now = clock.now();
    let counts = Counts {
        subject: access::Subject::Key(CALLER),
        route: "users".into(),
        status_class: 2,
        minute: u32::try_from(now.unix_seconds() / 60).unwrap(),
        day: now.day(),
        requests: 10,
        credits: Credits::ZERO,
        labels: access::LabelSet::NONE,
    };
    let counts = Record::Counts { id: ids.next_uuid(), counts: vec![counts] };
    let event = |_| UsageEvent {
        id: RequestId(ids.next_uuid()),
        subject: access::Subject::Key(CALLER),
        started_at: now,
        day: now.day(),
        windows: Vec::new(),
        charge: Charge::credits(Credits(1)),
        route: "ai".into(),
        format: Some("chat".into()),
        model: None,
        streamed: false,
        status: 200,
        outcome: Outcome::Completed,
        request_bytes: 1,
        response_bytes: 1,
        duration_us: 1,
        attempts: vec![attempt(), attempt()],
        refusal: None,
        origin: meter::RequestOrigin::default(),
    };
    (0..events).map(event).map(Record::Event).chain([counts]).collect()
}

async fn ingest(place: &Place, store: &Store, records: &[Record]) {
    let node = place.join(store).await;
    let options = spool::SpoolOptions { size_bytes_max: 8 << 20, segment_bytes: 1 << 20, partitions: 1 };
    let mut spool = Spool::open(&place.folder.path().join("spool"), options, &positions(&node).await.unwrap()).unwrap();
    for record in records {
        spool.writers[0].append(record).unwrap();
    }
    drain(&node, &mut spool.reader, &IngestStats::default()).await.unwrap();
}

/// Counts the rows of events, attempts, counts and hours.
async fn rows(store: &Store) -> [i64; 4] {
    let mut rows = [0; 4];
    for (rows, table) in rows.iter_mut().zip(["usage_events", "usage_attempts", "usage_counts", "hourly_usage"]) {
        let count = store.query(AssertSqlSafe(format!("SELECT count(*) FROM {table}")));
        (*rows,) = count.one::<(i64,)>().await.unwrap();
    }
    rows
}

async fn requests(store: &Store, day: Day) -> u64 {
    Ledger::new(store.clone()).usage_of_day(CALLER.user, day).await.unwrap().total.requests
}

#[tokio::test]
async fn rows_that_are_too_old_go_and_totals_stay() {
    for place in Place::both().await {
        let clock = Clock::manual(NOW);
        let store = open(&place, &clock).await;
        let mut rounds = Rounds::begin(&store).await.unwrap();
        let stats = RetentionStats::default();
        ingest(&place, &store, &records(&clock, 3)).await;
        clock.advance(80 * DAY);
        ingest(&place, &store, &records(&clock, 1)).await;
        clock.advance(10 * DAY);
        assert_eq!(rounds.next(&store, KEPT, &stats).await.unwrap(), 0);
        assert_eq!(rows(&store).await, [4, 8, 2, 4]);
        clock.advance(Duration::from_millis(1));
        assert_eq!(rounds.next(&store, KEPT, &stats).await.unwrap(), 3 + 6 + 1 + 2);
        assert_eq!(rows(&store).await, [1, 2, 1, 2]);
        assert_eq!(stats.rows.load(Ordering::Relaxed), 12);
        let days = [NOW.day(), Timestamp(NOW.0 + 80 * 86_400_000_000).day()];
        assert_eq!([requests(&store, days[0]).await, requests(&store, days[1]).await], [13, 11]);
    }
}

#[tokio::test]
async fn series_of_days_by_result_begin_after_deleted_usage() {
    for place in Place::both().await {
        let clock = Clock::manual(NOW);
        let store = open(&place, &clock).await;
        let mut rounds = Rounds::begin(&store).await.unwrap();
        let stats = RetentionStats::default();
        ingest(&place, &store, &records(&clock, 3)).await;
        clock.advance(DAY);
        ingest(&place, &store, &records(&clock, 1)).await;
        clock.advance(89 * DAY + DAY / 2);
        assert_eq!(rounds.next(&store, KEPT, &stats).await.unwrap(), 3 + 6 + 1 + 2);
        let series = async |by| {
            let since = NOW;
            let until = NOW.after(DAY);
            let filter = SeriesFilter {
                by: Some(by),
                step: SeriesStep::Day,
                since,
                until,
                key: None,
                model: None,
                label: None,
                with_label: None,
            };
            let series = Ledger::new(store.clone()).usage_series(CALLER.user, &filter).await.unwrap();
            let points = series.series.iter().flat_map(|of| &of.points);
            (series.since, series.truncated, points.map(|(_, figures)| figures.totals.requests).sum::<u64>())
        };
        assert_eq!(series(SeriesGroup::Status).await, (NOW.day().next().start(), true, 11));
        assert_eq!(series(SeriesGroup::Route).await, (NOW.day().start(), false, 13 + 11), "daily totals stay");
    }
}

#[tokio::test]
async fn charges_of_subjects_are_kept_for_64_days_at_least() {
    for place in Place::both().await {
        let clock = Clock::manual(NOW);
        let store = open(&place, &clock).await;
        let subject = access::Subject::Basic {
            issuer: access::SubjectText::parse("ops").unwrap(),
            name: access::SubjectText::parse("ada").unwrap(),
        };
        let month = meter::Period::containing(meter::LimitPeriod::Month, NOW.day());
        let scope = meter::BudgetScope::Subject(access::SubjectId::from_subject(&subject).unwrap());
        let of_subject = |record: Record| {
            let Record::Event(event) = record else { return record };
            Record::Event(UsageEvent { subject: subject.clone(), ..event })
        };
        let records: Vec<Record> = records(&clock, 2).into_iter().map(of_subject).collect();
        let mut rounds = Rounds::begin(&store).await.unwrap();
        let stats = RetentionStats::default();
        ingest(&place, &store, &records).await;
        let keep = RetentionTimes { events: Some(DAY), raw_usage: None };
        for (days, credits) in [(2, 2), (62, 2), (1, 0)] {
            // The guard of retention trusts a clock that advances by days, not by months.
            for _ in 0..days {
                clock.advance(DAY);
                rounds.next(&store, keep, &stats).await.unwrap();
            }
            assert_eq!(store.charge_of(scope, month).await.unwrap().credits, Credits(credits));
            assert_eq!(rows(&store).await[0], 0, "events have gone");
        }
    }
}

#[tokio::test]
async fn many_rows_go_in_many_transactions() {
    for place in Place::both().await {
        let clock = Clock::manual(NOW);
        let store = open(&place, &clock).await;
        for _ in 0..3 {
            ingest(&place, &store, &records(&clock, 300)).await;
        }
        clock.advance(DAY);
        ingest(&place, &store, &records(&clock, 1)).await;
        let stats = RetentionStats::default();
        assert_eq!(expire(&store, &USAGE, clock.now(), &stats).await.unwrap(), 900 + 1_800 + 1 + 2);
        assert_eq!(rows(&store).await, [1, 2, 1, 2]);
    }
}

#[tokio::test]
async fn a_clock_that_leapt_deletes_nothing_for_a_day() {
    for place in Place::both().await {
        let clock = Clock::manual(NOW);
        ingest(&place, &open(&place, &clock).await, &records(&clock, 2)).await;
        let leapt = Clock::manual(Timestamp(NOW.0 + 3_650 * 86_400_000_000));
        let store = open(&place, &leapt).await;
        // The start stores the rest of the spool before.
        ingest(&place, &store, &records(&clock, 0)).await;
        let mut rounds = Rounds::begin(&store).await.unwrap();
        let stats = RetentionStats::default();
        for _ in 0..24 {
            assert_eq!(rounds.next(&store, KEPT, &stats).await.unwrap(), 0);
            leapt.advance(Duration::from_secs(3_600));
        }
        assert_eq!(rounds.next(&store, KEPT, &stats).await.unwrap(), 2 + 4 + 1 + 2);
    }
}

#[tokio::test]
async fn a_gateway_that_only_counts_and_restarts_each_day_deletes() {
    for place in Place::both().await {
        let clock = Clock::manual(NOW);
        let store = open(&place, &clock).await;
        ingest(&place, &store, &records(&clock, 1)).await;
        clock.advance(KEEP + DAY);
        ingest(&place, &store, &records(&clock, 0)).await;
        clock.advance(DAY / 2);
        let mut rounds = Rounds::begin(&store).await.unwrap();
        assert_eq!(rounds.next(&store, KEPT, &RetentionStats::default()).await.unwrap(), 1 + 2 + 1 + 2);
    }
}

#[tokio::test]
async fn of_two_servers_on_postgres_one_deletes() {
    let place = Place::postgres().await;
    let clock = Clock::manual(NOW);
    let store = open(&place, &clock).await;
    ingest(&place, &store, &records(&clock, 1)).await;
    clock.advance(DAY);
    let stats = RetentionStats::default();
    let mut other = open(&place, &clock).await.begin().await.unwrap();
    let claimed: (bool,) = other.query(store.kind().try_retention().unwrap()).one().await.unwrap();
    assert!(claimed.0);
    assert_eq!(expire(&store, &USAGE, clock.now(), &stats).await.unwrap(), 0);
    other.rollback().await.unwrap();
    assert_eq!(expire(&store, &USAGE, clock.now(), &stats).await.unwrap(), 6);
}

#[tokio::test]
async fn each_run_applies_the_current_configuration() {
    let place = Place::sqlite();
    let clock = Clock::manual(NOW);
    let store = open(&place, &clock).await;
    let stats = Arc::new(RetentionStats::default());
    let kept = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let read = kept.clone();
    let keep = move || if read.load(Ordering::Relaxed) { FOREVER } else { KEPT };
    let mut job = RetentionJob::new(store.clone(), keep, stats.clone()).await;
    for round in 1..=2 {
        ingest(&place, &store, &records(&clock, 1)).await;
        clock.advance(91 * DAY);
        job.run().await.unwrap();
        assert_eq!(rows(&store).await, [1, 2, 1, 2], "{round}: they are kept for ever");
        kept.store(false, Ordering::Relaxed);
        job.run().await.unwrap();
        assert_eq!(rows(&store).await, [0; 4], "{round}");
        kept.store(true, Ordering::Relaxed);
    }
    assert_eq!(stats.rows.load(Ordering::Relaxed), 12);
    store.close().await;
    assert!(job.run().await.is_err());
}

/// Counts the rows of sessions, refresh tokens and links.
async fn of_accounts(store: &Store) -> [i64; 3] {
    let mut rows = [0; 3];
    for (rows, table) in rows.iter_mut().zip(["sessions", "refresh_tokens", "links"]) {
        let count = store.query(AssertSqlSafe(format!("SELECT count(*) FROM {table}")));
        (*rows,) = count.one::<(i64,)>().await.unwrap();
    }
    rows
}

async fn sign_in(store: &Store, clock: &Clock, user: UserId, hash: u8) -> Session {
    let new = NewSession {
        user,
        credential: SessionCredential::Password(Secret::new("x".to_owned())),
        address: None,
        agent: None,
        refresh: TicketHash([hash; 32]),
        expires_at: after(clock.now(), 7 * DAY),
    };
    store.begin_session(&Actor::SYSTEM, new).await.unwrap()
}

fn after(moment: Timestamp, time: Duration) -> Timestamp {
    Timestamp(moment.0 + u64::try_from(time.as_micros()).unwrap())
}

#[tokio::test]
async fn what_accounts_left_behind_goes_thirty_days_later_and_what_is_in_use_stays() {
    for place in Place::both().await {
        let clock = Clock::manual(NOW);
        let store = open(&place, &clock).await;
        store.ensure_plans(&[Plan::unlimited("starter")]).await.unwrap();
        let new = NewUser::member(Email::parse("ada@example.com").unwrap(), "Ada", "starter");
        let new = NewUser { password: Some(Secret::new("x".to_owned())), ..new };
        let ada = store.create_user(&Actor::SYSTEM, new).await.unwrap();
        let mut rounds = Rounds::begin(&store).await.unwrap();
        let stats = RetentionStats::default();
        let left = sign_in(&store, &clock, ada.id, 1).await;
        let used = sign_in(&store, &clock, ada.id, 2).await;
        let purpose = Purpose::Invite { email: None, plan: None };
        let link = NewLink { purpose, hash: TicketHash([9; 32]), expires_at: after(NOW, DAY) };
        store.make_link(&Actor::SYSTEM, link).await.unwrap();
        // Renewed every six days.
        for n in 3..9 {
            clock.advance(6 * DAY);
            let next = NewRefresh { hash: TicketHash([n; 32]), expires_at: after(clock.now(), 7 * DAY) };
            let presented = TicketHash([n - 1; 32]);
            let renewed = store.refresh(&Actor::SYSTEM, presented, next).await.unwrap();
            assert!(matches!(&renewed, RefreshResult::Renewed(session) if session.id == used.id), "{renewed:?}");
        }
        // Two tokens and the link were created 36 days ago; the unused session ended 29 days ago.
        assert_eq!(of_accounts(&store).await, [2, 8, 1]);
        assert_eq!(rounds.next(&store, FOREVER, &stats).await.unwrap(), 0);
        assert_eq!(of_accounts(&store).await, [2, 6, 0]);
        assert!(store.session_state(left.id).await.unwrap().is_some());
        clock.advance(2 * DAY);
        assert_eq!(rounds.next(&store, KEPT, &stats).await.unwrap(), 0);
        assert_eq!(of_accounts(&store).await, [1, 5, 0]);
        let state = store.session_state(used.id).await.unwrap().unwrap();
        assert_eq!(state.open_at(clock.now()), Ok(()));
    }
}

#[tokio::test]
async fn many_sessions_go_in_many_transactions() {
    for place in Place::both().await {
        let clock = Clock::manual(NOW);
        let store = open(&place, &clock).await;
        store.ensure_plans(&[Plan::unlimited("starter")]).await.unwrap();
        let new = NewUser::member(Email::parse("ada@example.com").unwrap(), "Ada", "starter");
        let new = NewUser { password: Some(Secret::new("x".to_owned())), ..new };
        let ada = store.create_user(&Actor::SYSTEM, new).await.unwrap();
        let mut rounds = Rounds::begin(&store).await.unwrap();
        let stats = RetentionStats::default();
        for n in 0_u32..600 {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&n.to_be_bytes());
            let expires_at = after(NOW, DAY);
            let new = NewSession {
                user: ada.id,
                credential: SessionCredential::Password(Secret::new("x".to_owned())),
                address: None,
                agent: None,
                refresh: TicketHash(hash),
                expires_at,
            };
            store.begin_session(&Actor::SYSTEM, new).await.unwrap();
        }
        clock.advance(32 * DAY);
        rounds.next(&store, FOREVER, &stats).await.unwrap();
        assert_eq!(of_accounts(&store).await, [0, 0, 0]);
    }
}

#[tokio::test]
async fn what_providers_said_goes_before_the_rows_that_it_belongs_to() {
    for place in Place::both().await {
        let clock = Clock::manual(NOW);
        let store = open(&place, &clock).await;
        let mut rounds = Rounds::begin(&store).await.unwrap();
        let stats = RetentionStats::default();
        let records = records(&clock, 1).into_iter().map(|record| match record {
            Record::Event(mut event) => {
                event.attempts.iter_mut().for_each(|attempt| attempt.raw_usage = Some("{}".into()));
                Record::Event(event)
            }
            other @ (Record::Open(_) | Record::Close(_) | Record::Counts { .. } | Record::CloseBatch { .. }) => other,
        });
        ingest(&place, &store, &records.collect::<Vec<_>>()).await;
        clock.advance(2 * DAY);
        let raw = async || store.query("SELECT count(*) FROM usage_raw").one::<(i64,)>().await.unwrap().0;
        // The usage of both attempts is in one row.
        assert_eq!(raw().await, 1);
        let keep = RetentionTimes { events: Some(KEEP), raw_usage: Some(DAY) };
        assert_eq!(rounds.next(&store, keep, &stats).await.unwrap(), 1);
        assert_eq!((raw().await, rows(&store).await), (0, [1, 2, 1, 2]));
    }
}

#[tokio::test]
async fn a_job_of_a_store_that_was_not_available_reads_the_newest_event_later() {
    for place in Place::both().await {
        let clock = Clock::manual(NOW);
        ingest(&place, &open(&place, &clock).await, &records(&clock, 2)).await;
        let store = open(&place, &Clock::manual(Timestamp(NOW.0 + 3_650 * 86_400_000_000))).await;
        tell(&store, "ALTER TABLE usage_events RENAME TO hidden").await;
        let mut job = RetentionJob::new(store.clone(), || KEPT, Arc::default()).await;
        assert!(job.run().await.is_err());
        tell(&store, "ALTER TABLE hidden RENAME TO usage_events").await;
        // Compared with the newest event, the clock is years ahead, so nothing is deleted.
        assert_eq!(job.run().await.unwrap(), NextRun::Period);
        assert_eq!((job.stats.rows.load(Ordering::Relaxed), rows(&store).await[0]), (0, 2), "{:?}", store.kind());
    }
}
