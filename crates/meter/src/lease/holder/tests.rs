use access::{Day, KeyNo};

use super::*;
use crate::budget::{BudgetId, Measure, Per, Period, Subject};
use crate::lease::{Grant, Recall};

const NODE: NodeId = NodeId(1);
const TTL: Duration = Duration::from_secs(2);
const MS: u64 = 1_000_000;

fn id() -> CellId {
    let budget = BudgetId { subject: Subject::Key(KeyNo(1)), measure: Measure::Credits, per: Per::Day };
    CellId { budget, period: Period::of(Per::Day, Day(20_000)) }
}

fn cell() -> Arc<Cell> {
    Arc::new(Cell::leased(id().period))
}

fn holder() -> Holder {
    Holder::new((NODE, 3), Timing::default())
}

fn waiter(number: u64, amount: u64) -> Waiter {
    Waiter { id: number, amount, since: Mono(0) }
}

fn grant(seq: u64, granted: u64, left: u64) -> Grant {
    Grant { cell: id(), term: 0, seq, granted, left, round: 0, drained: 0 }
}

fn answer(grants: &[Grant], recalls: &[u64], closed: &[u64]) -> Answer {
    Answer::Heard(Heard {
        incarnation: 3,
        at: Day(20_000).start(),
        ttl: TTL,
        grants: grants.to_vec(),
        recalls: recalls.iter().map(|no| Recall { cell: id(), no: *no }).collect(),
        closed: closed.iter().map(|incarnation| (id(), *incarnation)).collect(),
    })
}

fn verdict(waiter: u64, verdict: Verdict) -> Judgement {
    Judgement { waiter, cell: id(), verdict }
}

/// A holder that was granted 10, of which 4 are used.
fn holding() -> (Holder, Arc<Cell>) {
    let (mut holder, cell) = (holder(), cell());
    assert_eq!(holder.wait((id(), &cell), waiter(1, 4), Mono(0)), None);
    assert!(holder.is_urgent());
    let ask = holder.tick(Mono(0)).asks[0];
    assert_eq!((ask.seq, ask.ceiling, ask.want, ask.need, ask.queued), (1, 0, 4, 4, 4));
    let woken = holder.heard(&answer(&[grant(1, 10, 90)], &[], &[]), Mono(MS));
    assert_eq!(woken, [verdict(1, Verdict::Retry)]);
    cell.take(4, Some(100), Mono(MS)).unwrap();
    (holder, cell)
}

#[test]
fn only_the_answer_to_the_latest_ask_is_believed() {
    let (mut holder, cell) = (holder(), cell());
    holder.wait((id(), &cell), waiter(1, 4), Mono(0));
    holder.tick(Mono(0));
    assert_eq!(holder.tick(Mono(99 * MS)).asks, [], "it waits for the answer");
    let again = holder.tick(Mono(100 * MS)).asks[0];
    assert_eq!((again.seq, again.ceiling), (2, 0));
    assert_eq!(holder.tick(Mono(299 * MS)).asks.len() + holder.tick(Mono(300 * MS)).asks.len(), 1, "twice as long");
    assert_eq!(holder.heard(&answer(&[grant(1, 10, 90)], &[], &[]), Mono(301 * MS)), []);
    assert_eq!(cell.allowance(), 0);
}

#[test]
fn the_deadline_runs_from_when_the_ask_was_sent() {
    let (mut holder, cell) = (holder(), cell());
    holder.wait((id(), &cell), waiter(1, 4), Mono(0));
    holder.tick(Mono(50 * MS));
    holder.heard(&answer(&[grant(1, 10, 90)], &[], &[]), Mono(90 * MS));
    assert_eq!(cell.deadline(), Mono(1_850 * MS));
    assert_eq!(holder.clock(Mono(1_090 * MS)), Some(Timestamp(Day(20_000).start().0 + 1_000_000)));
}

#[test]
fn a_recall_is_answered_with_all_that_is_not_used() {
    let (mut holder, cell) = holding();
    assert_eq!(holder.next_tick(Mono(MS)), Duration::from_millis(100));
    holder.heard(&answer(&[], &[7], &[]), Mono(2 * MS));
    assert!(holder.is_urgent() && holder.is_recalled());
    assert_eq!(holder.next_tick(Mono(2 * MS)), Duration::from_millis(25));
    let ask = holder.tick(Mono(3 * MS)).asks[0];
    assert_eq!((ask.ceiling, ask.used, ask.ceded), (4, 4, 7));
    assert_eq!(cell.take(1, Some(100), Mono(3 * MS)).unwrap_err().by, crate::cell::By::Lease);
}

#[test]
fn who_waits_is_woken_in_turn_and_refused_only_by_news_from_after_it_came() {
    let (mut holder, cell) = holding();
    for (number, amount) in [(2, 20), (3, 1)] {
        holder.wait((id(), &cell), waiter(number, amount), Mono(MS));
    }
    assert_eq!(holder.review(Mono(2 * MS)), [], "nobody overtakes");
    let ask = holder.tick(Mono(3 * MS)).asks[0];
    assert_eq!((ask.ceiling, ask.need, ask.run, ask.queued), (10, 14, 15, 15));
    let pressing = Grant { round: 5, drained: 4, ..grant(2, 10, 3) };
    assert_eq!(holder.heard(&answer(&[pressing], &[], &[]), Mono(4 * MS)), []);
    let ask = holder.tick(Mono(29 * MS)).asks[0];
    assert_eq!((ask.need, ask.run, ask.queued), (14, 0, 15), "nothing fits into the 3 that are left");
    let drained = Grant { round: 6, drained: 5, ..grant(3, 10, 3) };
    assert_eq!(holder.heard(&answer(&[drained], &[], &[]), Mono(30 * MS)), [verdict(2, Verdict::UsedUp)]);
    assert_eq!(holder.review(Mono(31 * MS)), [verdict(3, Verdict::Retry)]);
}

#[test]
fn who_waits_too_long_is_told_that_nobody_could_say() {
    let (mut holder, cell) = holding();
    holder.wait((id(), &cell), waiter(2, 20), Mono(MS));
    assert_eq!(holder.review(Mono(249 * MS)), []);
    assert_eq!(holder.review(Mono(250 * MS)), [verdict(2, Verdict::Withheld)]);
    assert_eq!(holder.wait((id(), &cell), waiter(2, 20), Mono(250 * MS)), Some(Verdict::Withheld));
    holder.wait((id(), &cell), Waiter { since: Mono(250 * MS), ..waiter(4, 20) }, Mono(250 * MS));
    holder.forget(4);
    assert_eq!(holder.review(Mono(900 * MS)), []);
}

#[test]
fn at_the_periods_end_a_lease_is_closed_when_nothing_is_reserved() {
    let (mut holder, cell) = holding();
    holder.wait((id(), &cell), waiter(2, 20), Mono(MS));
    assert_eq!(holder.end(Some(Timestamp(id().period.end().0 - 1))), []);
    assert_eq!(holder.end(Some(id().period.end())), [verdict(2, Verdict::Retry)], "the next period may hold it");
    assert_eq!(holder.tick(Mono(200 * MS)).closes, [], "4 are reserved");
    cell.settle(4, 3);
    for _ in 0..2 {
        assert_eq!(holder.tick(Mono(400 * MS)).closes, [Close { cell: id(), incarnation: 3, spent: 3 }]);
    }
    holder.heard(&answer(&[], &[], &[3]), Mono(500 * MS));
    assert!(holder.is_empty());
}

#[test]
fn what_an_earlier_life_spent_is_said_until_it_is_heard() {
    let mut holder = holder();
    holder.close_past(id(), 2, 9);
    for _ in 0..2 {
        assert_eq!(holder.tick(Mono(0)).closes, [Close { cell: id(), incarnation: 2, spent: 9 }]);
    }
    holder.heard(&answer(&[], &[], &[2]), Mono(1));
    assert!(holder.is_empty());
}

#[test]
fn a_fenced_holder_admits_nothing_any_more() {
    let (mut holder, cell) = holding();
    holder.wait((id(), &cell), waiter(2, 20), Mono(MS));
    assert_eq!(holder.heard(&Answer::Fenced, Mono(2 * MS)), [verdict(2, Verdict::Withheld)]);
    assert!(holder.is_fenced() && cell.take(1, Some(100), Mono(2 * MS)).is_err());
    assert_eq!(holder.tick(Mono(900 * MS)).asks, []);
}

#[test]
fn an_idle_lease_is_handed_back_and_what_is_all_spent_is_not_renewed() {
    let (mut holder, cell) = holding();
    assert!(holder.tick(Mono(500 * MS)).asks.len() == 1, "what is used sets the pace");
    holder.heard(&answer(&[grant(2, 26, 70)], &[], &[]), Mono(501 * MS));
    let renewed = holder.tick(Mono(1_300 * MS)).asks[0];
    assert_eq!((renewed.ceiling, renewed.used), (26, 4));
    holder.heard(&answer(&[grant(3, 26, 70)], &[], &[]), Mono(1_301 * MS));
    cell.settle(4, 4);
    let idle = holder.tick(Mono(2_600 * MS)).asks[0];
    assert_eq!((idle.ceiling, idle.want), (4, 0));
    holder.heard(&answer(&[grant(4, 4, 92)], &[], &[]), Mono(2_601 * MS));
    assert_eq!(holder.tick(Mono(9_000 * MS)).asks, []);
}

/// 500 leases in steady use are not 5,000 questions a second.
#[test]
fn a_lease_in_steady_use_is_asked_for_now_and_then() {
    const TICKS: u64 = 200;
    let (mut holder, cell) = holding();
    cell.allow(100, Mono(1_000 * MS));
    let (mut asks, mut left) = (0, 1_000_000);
    for tick in 1..=TICKS {
        let now = Mono(tick * 100 * MS);
        cell.take(10, Some(1_000_000), now).map_or_else(|short| panic!("{short:?} in tick {tick}"), drop);
        cell.settle(10, 10);
        if let [ask] = holder.tick(now).asks[..] {
            asks += 1;
            left -= ask.want;
            holder.heard(&answer(&[grant(ask.seq, ask.ceiling + ask.want, left)], &[], &[]), Mono(now.0 + MS));
        }
    }
    // Every third of its two seconds it is renewed.
    assert!((TICKS / 8..=TICKS / 6).contains(&asks), "{asks} asks in {TICKS} ticks");
}
