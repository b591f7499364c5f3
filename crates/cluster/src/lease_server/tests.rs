mod audit;

use access::{Amount, Credits, Day, KeyNo, PlanId, SubjectId, UserNo};
use ledger::IngestStats;
use meter::Period;
use meter::budgets::budget::{BudgetId, BudgetScope, LimitPeriod, Measure};
use meter::lease::{LeaseClose, LeaseRequest, TickResponse};
use meter::{Caller, Counts};
use spool::{Record, Spool};
use store::nodes::backlog::GatheredCharges;

use super::unreported::UnreportedLease;
use super::*;
use crate::fixture::{Place, tell};

const TTL: Duration = Duration::from_secs(2);
const DAY: Day = Day(20_000);
const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

fn time_at(millis: u64) -> Timestamp {
    Timestamp(DAY.start().0 + 3_600_000_000 + millis * 1_000)
}

fn cell(scope: BudgetScope, measure: Measure, per: LimitPeriod) -> CounterId {
    CounterId { budget: BudgetId { scope, measure, per }, period: Period::containing(per, DAY) }
}

fn every_kind() -> Vec<CounterId> {
    vec![
        cell(BudgetScope::Key(KeyNo(7)), Measure::Credits, LimitPeriod::Day),
        cell(BudgetScope::User(UserNo(1)), Measure::Tokens, LimitPeriod::Month),
        cell(BudgetScope::Subject(SubjectId(Uuid::from_u128(8))), Measure::Credits, LimitPeriod::Month),
        cell(BudgetScope::Plan(PlanId(Uuid::from_u128(9))), Measure::Money, LimitPeriod::Day),
        cell(BudgetScope::Global, Measure::Money, LimitPeriod::Month),
    ]
}

/// The random number generator SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut next = self.0;
        next = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        next = (next ^ (next >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (next ^ (next >> 31)) % end
    }

    fn ask(&mut self, cell: CounterId) -> LeaseRequest {
        let ceiling = self.below(40);
        let used = self.below(ceiling + 1);
        let need = self.below(3) * self.below(30);
        let spent = self.below(used + 1);
        let queued = if need == 0 { 0 } else { need + self.below(20) };
        let run = self.below(queued + 1);
        let seq = self.below(60);
        let term = self.below(2);
        let answered_recall = self.below(4);
        let want = queued + self.below(20);
        LeaseRequest {
            counter: cell,
            term,
            seq,
            ceiling: Amount(ceiling),
            used: Amount(used),
            spent: Amount(spent),
            want: Amount(want),
            need: Amount(need),
            need_fitting: Amount(run),
            queued: Amount(queued),
            answered_recall,
            limit: Amount(100),
        }
    }
}

async fn begins(store: &Store, node: NodeId, incarnation: u64) {
    let id = match store.kind() {
        store::sql::StoreKind::Sqlite => format!("x'{:032x}'", node.0),
        store::sql::StoreKind::Postgres => format!("'{}'", Uuid::from_u128(node.0)),
    };
    let text = format!(
        "INSERT INTO nodes (id, version, incarnation, seen_at, created_at, updated_at) VALUES ({id}, '1', {incarnation}, 1, 1, 1)
        ON CONFLICT (id) DO UPDATE SET incarnation = excluded.incarnation"
    );
    tell(store, &text).await;
}

fn heard(answer: TickReply) -> TickResponse {
    let TickReply::Accepted(mut heard) = answer else { panic!("{answer:?}") };
    heard.recalls.sort_by_key(|recall| recall.counter);
    heard
}

/// Applies a tick of a node without a backlog.
pub(crate) async fn lend(
    store: &Store,
    tick: &Tick,
    ttl: Duration,
    at: Option<Timestamp>,
) -> Result<TickReply, LeaseError> {
    Cluster::new(store.clone()).lend_beside(tick, ttl, at, &Backlog::default()).await
}

#[tokio::test]
async fn the_same_ticks_get_the_same_answers_as_in_memory() {
    for place in Place::both().await {
        let store = place.open().await;
        for seed in 1..=4 {
            // Each seed uses a different day, and so different budget accounts.
            let day = Day(DAY.0 + 40 * u32::try_from(seed).unwrap());
            let cells = every_kind().into_iter().map(|CounterId { budget, .. }| {
                let period = Period::containing(budget.per, day);
                CounterId { budget, period }
            });
            check_ticks(&store, &cells.collect::<Vec<_>>(), seed).await;
        }
    }
}

async fn check_ticks(store: &Store, cells: &[CounterId], seed: u64) {
    let mut chance = Chance(seed);
    let mut memory = LeaseServer::new(TTL);
    let mut millis = 0;
    let start = cells[0].period.first().start().0;
    for table in ["leases", "lease_books", "lease_holders"] {
        tell(store, &format!("DELETE FROM {table}")).await;
    }
    let mut incarnations = [0; NODES.len()];
    let mut fenced = 0;
    let mut granted = 0;
    let mut recalled = 0;
    for step in 0..250 {
        millis += chance.below(1_200);
        let now = Timestamp(start + millis * 1_000);
        let nth = usize::try_from(chance.below(3)).unwrap();
        if incarnations[nth] == 0 || chance.below(40) == 0 {
            incarnations[nth] = memory.join(NODES[nth], 0, now).0;
            begins(store, NODES[nth], incarnations[nth]).await;
            lend(store, &empty(NODES[nth], incarnations[nth]), TTL, Some(now)).await.unwrap();
        }
        let late = u64::from(incarnations[nth] > 1 && chance.below(20) == 0);
        let mut requests = Vec::new();
        let mut closes = Vec::new();
        for cell in cells {
            match chance.below(8) {
                0..4 => requests.push(chance.ask(*cell)),
                4 => {
                    let incarnation = incarnations[nth] - chance.below(2).min(incarnations[nth] - 1);
                    closes.push(LeaseClose { counter: *cell, incarnation, spent: Amount(chance.below(30)) });
                }
                _ => {}
            }
        }
        let tick = Tick { node: NODES[nth], incarnation: incarnations[nth] - late, requests, closes };
        for ask in &tick.requests {
            memory.set_limit(ask.counter.budget, Some(ask.limit));
        }
        let expected = memory.take(&tick, now);
        let told = lend(store, &tick, TTL, Some(now)).await.unwrap();
        if expected == TickReply::Fenced {
            assert_eq!(told, expected, "seed {seed}, step {step}");
            fenced += 1;
            continue;
        }
        let expected = heard(expected);
        let told = heard(told);
        assert_eq!(told, expected, "seed {seed}, step {step}: {tick:?}");
        granted += expected.grants.iter().map(|grant| grant.granted.0).sum::<u64>();
        recalled += expected.recalls.len();
    }
    assert!(fenced > 0 && granted > 0 && recalled > 0, "{fenced} {granted} {recalled}");
}

fn empty(node: NodeId, incarnation: u64) -> Tick {
    Tick { node, incarnation, requests: Vec::new(), closes: Vec::new() }
}

fn wants(cell: CounterId, seq: u64, need: u64) -> LeaseRequest {
    LeaseRequest {
        counter: cell,
        term: 0,
        seq,
        ceiling: Amount::ZERO,
        used: Amount::ZERO,
        spent: Amount::ZERO,
        want: Amount(need),
        need: Amount(need),
        need_fitting: Amount::ZERO,
        queued: Amount(need),
        answered_recall: 0,
        limit: Amount(100),
    }
}

async fn charge(store: &Store, node: Uuid, day: Day, credits: u64) {
    let (id, node) = match store.kind() {
        store::sql::StoreKind::Sqlite => (format!("x'{}'", store.new_id().simple()), format!("x'{}'", node.simple())),
        store::sql::StoreKind::Postgres => (format!("'{}'", store.new_id()), format!("'{node}'")),
    };
    let figures = "requests, credits, charged_tokens, charged_nano, input_tokens, cached_input_tokens,
        cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens, cost_nano, unpriced_requests";
    let text = format!(
        "INSERT INTO daily_usage (id, user_no, key_no, node_id, day, {figures}, created_at, updated_at)
        VALUES ({id}, 1, {}, {node}, {}, 1, {credits}, {credits}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1)",
        store.new_id().as_u64_pair().1 % 1_000_000,
        day.0
    );
    tell(store, &text).await;
}

#[tokio::test]
async fn what_was_charged_before_is_not_lent_and_the_next_life_says_what_was_charged_since() {
    for place in Place::both().await {
        let store = place.open().await;
        let node = place.join(&store).await;
        let user = cell(BudgetScope::User(UserNo(1)), Measure::Credits, LimitPeriod::Day);
        charge(&store, node.id(), DAY, 10).await;
        charge(&store, Uuid::from_u128(99), DAY, 20).await;
        charge(&store, node.id(), DAY.next(), 40).await;
        let tick = |seq, need| Tick { requests: vec![wants(user, seq, need)], ..empty(node.lessee(), 1) };
        let told = heard(lend(&store, &tick(1, 60), TTL, Some(time_at(0))).await.unwrap());
        assert_eq!((told.grants[0].granted, told.grants[0].left), (Amount(60), Amount(10)), "30 were carried");
        assert_eq!(Cluster::new(store.clone()).unreported_leases(&node).await.unwrap(), []);
        charge(&store, node.id(), DAY, 7).await;
        let next = place.join(&store).await;
        assert_eq!(next.incarnation(), 2);
        assert_eq!(
            Cluster::new(store.clone()).unreported_leases(&next).await.unwrap(),
            [UnreportedLease { cell: user, incarnation: 1, spent: Amount(7) }]
        );
        let fenced = lend(&store, &tick(2, 1), TTL, Some(time_at(1))).await.unwrap();
        assert_eq!(fenced, TickReply::Fenced);
        // The new lease begins where the last one ended, whatever the node spends of it.
        let own = Tick { incarnation: 2, ..tick(1, 5) };
        heard(lend(&store, &own, TTL, Some(time_at(2))).await.unwrap());
        charge(&store, node.id(), DAY, 3).await;
        let unreported = Cluster::new(store.clone()).unreported_leases(&next).await.unwrap();
        assert_eq!(unreported[0].spent, Amount(7));
        let closes = vec![LeaseClose { counter: user, incarnation: 1, spent: unreported[0].spent }];
        let closed =
            heard(lend(&store, &Tick { closes, ..empty(next.lessee(), 2) }, TTL, Some(time_at(3))).await.unwrap());
        assert_eq!(closed.closed, [(user, 1)]);
        let last = Tick { incarnation: 2, ..tick(2, 100) };
        assert_eq!(heard(lend(&store, &last, TTL, Some(time_at(4))).await.unwrap()).grants[0].left, Amount(63));
    }
}

#[tokio::test]
async fn charges_of_a_subject_are_not_lent_again_whichever_node_made_them() {
    for place in Place::both().await {
        let store = place.open().await;
        let node = place.join(&store).await;
        let subject = access::Subject::Basic {
            issuer: access::SubjectText::parse("ops").unwrap(),
            name: access::SubjectText::parse("ada").unwrap(),
        };
        let scope = BudgetScope::Subject(SubjectId::from_subject(&subject).unwrap());
        let budgets =
            [cell(scope, Measure::Credits, LimitPeriod::Day), cell(scope, Measure::Credits, LimitPeriod::Month)];
        let charged = |credits| {
            let Record::Counts { id, counts } = counts(credits) else { unreachable!() };
            Record::Counts { id, counts: vec![Counts { subject: subject.clone(), ..counts[0].clone() }] }
        };
        let mut spool = spool(&place);
        spool.writers[0].append(&charged(30)).unwrap();
        ledger::ingest::drain(&node, &mut spool.reader, &IngestStats::default()).await.unwrap();
        // The next start finds further records, which count as well.
        let gathered = GatheredCharges::default();
        gathered.note(&charged(5));
        let next = place.join(&store).await;
        next.backlog().begin(gathered, Vec::new()).await;
        for (of, need) in [(NODES[1], 40), (next.lessee(), 60)] {
            let requests = budgets.iter().map(|budget| wants(*budget, 1, need)).collect();
            let incarnation = if of == next.lessee() { next.incarnation() } else { 1 };
            let tick = Tick { requests, ..empty(of, incarnation) };
            let told = heard(
                Cluster::new(store.clone()).lend_beside(&tick, TTL, Some(time_at(0)), next.backlog()).await.unwrap(),
            );
            for grant in &told.grants {
                // 35 of 100 are charged, and 40 are leased to the first node.
                let expected = if need == 40 { 40 } else { 25 };
                assert!(grant.granted <= Amount(expected), "{grant:?}");
            }
            assert_eq!(told.grants.len(), 2);
        }
    }
}

#[tokio::test]
async fn what_waits_in_the_spool_is_charged_and_stays_so_when_it_comes_into_the_store() {
    for place in Place::both().await {
        let store = place.open().await;
        let user = cell(BudgetScope::User(UserNo(1)), Measure::Credits, LimitPeriod::Day);
        let everybody = cell(BudgetScope::Global, Measure::Credits, LimitPeriod::Month);
        let first = place.join(&store).await;
        let tick = |node: &Node, requests| Tick { requests, ..empty(node.lessee(), node.incarnation()) };
        lend(&store, &tick(&first, vec![wants(user, 1, 60)]), TTL, Some(time_at(0))).await.unwrap();

        // The node crashed with seven credits in its spool.
        let next = place.join(&store).await;
        let mut spool = spool(&place);
        let gathered = GatheredCharges::default();
        spool.writers[0].append(&counts(7)).unwrap();
        gathered.note(&counts(7));
        next.backlog().begin(gathered, spool.reader.end_positions()).await;
        let unreported = [UnreportedLease { cell: user, incarnation: 1, spent: Amount(7) }];
        assert_eq!(Cluster::new(store.clone()).unreported_leases(&next).await.unwrap(), unreported);
        let began = tick(&next, vec![wants(user, 1, 5), wants(everybody, 1, 5)]);
        let told = heard(
            Cluster::new(store.clone()).lend_beside(&began, TTL, Some(time_at(1)), next.backlog()).await.unwrap(),
        );
        let left = |cell| told.grants.iter().find(|grant| grant.counter == cell).unwrap().left;
        assert_eq!(
            (left(user), left(everybody)),
            (Amount(35), Amount(88)),
            "60 and 5 of 100 are lent; 7 were carried, 5 are lent"
        );

        ledger::ingest::drain(&next, &mut spool.reader, &IngestStats::default()).await.unwrap();
        charge(&store, next.id(), DAY, 3).await;
        assert_eq!(Cluster::new(store.clone()).unreported_leases(&next).await.unwrap(), unreported);
        // This node crashes, too.
        let last = place.join(&store).await;
        let unreported = [unreported[0], UnreportedLease { incarnation: 2, spent: Amount(3), ..unreported[0] }];
        assert_eq!(Cluster::new(store.clone()).unreported_leases(&last).await.unwrap()[..2], unreported);
    }
}

fn counts(credits: u64) -> Record {
    let caller = Caller { user: UserNo(1), key: KeyNo(1), plan: PlanId(Uuid::from_u128(9)) };
    let subject = access::Subject::Key(caller);
    let route = "users".into();
    let counts = Counts {
        subject,
        route,
        status_class: 2,
        minute: 1,
        day: DAY,
        requests: credits,
        credits: Credits(credits),
        labels: access::LabelSet::NONE,
    };
    Record::Counts { id: Uuid::from_u128(1), counts: vec![counts] }
}

fn spool(place: &Place) -> Spool {
    Spool::open(&place.folder.path().join("spool"), spool::SpoolOptions::new(1 << 26, 1), &[]).unwrap()
}

#[tokio::test]
async fn the_lenders_clock_is_the_databases() {
    for place in Place::both().await {
        let store = place.open().await;
        let told = heard(lend(&store, &empty(NodeId(5), 1), TTL, None).await.unwrap());
        let ours = match store.kind() {
            store::sql::StoreKind::Sqlite => store.clock().now(),
            store::sql::StoreKind::Postgres => access::Clock::system().now(),
        };
        assert!(told.at.0.abs_diff(ours.0) < 60_000_000, "{told:?}");
    }
}

#[tokio::test]
async fn what_a_silent_node_does_not_use_is_reclaimed_with_a_line_and_a_living_ones_is_not() {
    for place in Place::both().await {
        let store = place.open().await;
        let mut transaction = store.begin().await.unwrap();
        let at = now(&store, &mut transaction).await.unwrap();
        transaction.rollback().await.unwrap();
        let budget = BudgetId::credits_a_day(BudgetScope::User(UserNo(1)));
        let user = CounterId { budget, period: Period::containing(LimitPeriod::Day, at.day()) };
        let needs = |node, need| Tick { requests: vec![wants(user, 1, need)], ..empty(node, 1) };
        let long_ago = at.before(2 * super::reclaim::SILENT);
        lend(&store, &needs(NODES[0], 30), TTL, Some(long_ago)).await.unwrap();
        lend(&store, &needs(NODES[1], 20), TTL, Some(at)).await.unwrap();
        let open = Cluster::new(store.clone()).open_leases().await.unwrap();
        assert_eq!(
            open.iter().map(|lease| (lease.granted.0, lease.unusable)).collect::<Vec<_>>(),
            [(30, true), (20, false)]
        );
        let by = store::Actor::COMMAND;
        assert_eq!(Cluster::new(store.clone()).reclaim_leases(&by, Some(Uuid::from_u128(2))).await.unwrap(), []);
        let reclaimed = Cluster::new(store.clone()).reclaim_leases(&by, None).await.unwrap();
        assert_eq!(reclaimed, [(open[0], Amount(30))]);
        assert_eq!(Cluster::new(store.clone()).reclaim_leases(&by, None).await.unwrap(), []);
        assert_eq!(Cluster::new(store.clone()).open_leases().await.unwrap()[0].granted, Amount(0));
        let told: Vec<(String,)> = store.query("SELECT detail FROM audit_log").all().await.unwrap();
        assert_eq!(told.len(), 1);
        assert!(told[0].0.contains("\"reclaimed\":30"), "{told:?}");
        let left = heard(
            lend(&store, &Tick { requests: vec![wants(user, 2, 1)], ..empty(NODES[1], 1) }, TTL, Some(at))
                .await
                .unwrap(),
        );
        assert_eq!(left.grants[0].left, Amount(99), "the ask restricts itself to nothing first");
    }
}

#[tokio::test]
async fn a_store_that_forgot_a_start_gives_no_incarnation_again() {
    for place in Place::both().await {
        let store = place.open().await;
        for expected in 1..=3 {
            assert_eq!(place.join(&store).await.incarnation(), expected);
        }
        // The state after a backup was restored.
        tell(&store, "UPDATE nodes SET incarnation = 1").await;
        assert_eq!(place.join(&store).await.incarnation(), 4);
        // The state after the folder's file was lost.
        std::fs::remove_file(place.folder.path().join("incarnation")).unwrap();
        assert_eq!(place.join(&store).await.incarnation(), 5);
    }
}

#[tokio::test]
async fn the_first_node_that_asks_opens_a_window_for_all_nodes() {
    let per = access::LimitPeriod::parse("5h/first_use").unwrap();
    let budget = BudgetId { scope: BudgetScope::User(access::UserNo(1)), measure: Measure::Credits, per };
    for place in Place::both().await {
        let store = place.open().await;
        let start = DAY.start();
        let opened = |minutes: u64| {
            let at = start.after(Duration::from_secs(minutes * 60));
            (CounterId { budget, period: Period::containing(per, at) }, at)
        };
        for node in &NODES[..2] {
            begins(&store, *node, 1).await;
        }
        let ask = async |node: usize, (counter, at): (CounterId, Timestamp)| {
            let tick = Tick { requests: vec![wants(counter, 1, 10)], ..empty(NODES[node], 1) };
            heard(lend(&store, &tick, TTL, Some(at)).await.unwrap())
        };
        let first = opened(10);
        let granted = ask(0, first).await;
        assert_eq!((granted.grants.len(), granted.moved.len()), (1, 0));
        // Another node sees its first use later, within the window.
        let later = opened(70);
        let moved = ask(1, later).await;
        assert_eq!((moved.grants.len(), &*moved.moved), (0, &[(later.0, first.0.period.begin())][..]));
        let again = ask(1, (first.0, later.1)).await;
        assert_eq!((again.grants.len(), again.moved.len()), (1, 0));
        // After its end, the next use opens another one.
        let next = opened(400);
        assert_eq!(ask(1, next).await.moved.len(), 0);
        assert_eq!(ask(0, opened(410)).await.moved, [(opened(410).0, next.0.period.begin())]);
    }
}
