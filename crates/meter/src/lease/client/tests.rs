use access::{Amount, Day, KeyNo};

use super::*;
use crate::budgets::budget::{BudgetId, BudgetScope, LimitPeriod, Measure};
use crate::budgets::period::Period;
use crate::lease::{Grant, Recall};

const NODE: NodeId = NodeId(1);
const TTL: Duration = Duration::from_secs(2);
const MS: u64 = 1_000_000;

fn id() -> CounterId {
    let budget = BudgetId { scope: BudgetScope::Key(KeyNo(1)), measure: Measure::Credits, per: LimitPeriod::Day };
    CounterId { budget, period: Period::containing(LimitPeriod::Day, Day(20_000)) }
}

fn counter() -> Arc<BudgetCounter> {
    Arc::new(BudgetCounter::leased(id().period))
}

fn client() -> LeaseClient {
    LeaseClient::new(NODE, 3, LeaseTiming::default())
}

fn shared(counter: &Arc<BudgetCounter>) -> SharedCounter<'_> {
    SharedCounter { id: id(), counter }
}

fn waiter(number: u64, amount: u64) -> Waiter {
    Waiter { id: number, amount: Amount(amount), since: Mono(0) }
}

fn grant(seq: u64, granted: u64, left: u64) -> Grant {
    let granted = Amount(granted);
    let left = Amount(left);
    let lost = Amount::ZERO;
    Grant { counter: id(), term: 0, seq, granted, left, round: 0, drained: 0, lost }
}

fn answer(grants: &[Grant], recalls: &[u64], closed: &[u64]) -> TickReply {
    TickReply::Accepted(TickResponse {
        incarnation: 3,
        at: Day(20_000).start(),
        ttl: TTL,
        grants: grants.to_vec(),
        recalls: recalls.iter().map(|no| Recall { counter: id(), no: *no }).collect(),
        closed: closed.iter().map(|incarnation| (id(), *incarnation)).collect(),
        moved: Vec::new(),
    })
}

fn verdict(waiter: u64, verdict: Verdict) -> WaitDecision {
    WaitDecision { waiter, counter: id(), verdict, lost: Amount::ZERO }
}

/// Returns a client that was granted 10, of which 4 are used.
fn holding() -> (LeaseClient, Arc<BudgetCounter>) {
    let mut client = client();
    let counter = counter();
    assert_eq!(client.wait(shared(&counter), waiter(1, 4), Mono(0)), None);
    assert!(client.is_urgent());
    let request = client.tick(Mono(0)).requests[0];
    assert_eq!(
        (request.seq, request.ceiling, request.want, request.need, request.queued),
        (1, Amount(0), Amount(4), Amount(4), Amount(4))
    );
    let woken = client.receive(&answer(&[grant(1, 10, 90)], &[], &[]), Mono(MS));
    assert_eq!(woken, [verdict(1, Verdict::Retry)]);
    counter.take(Amount(4), Some(Amount(100)), Mono(MS)).unwrap();
    (client, counter)
}

#[test]
fn only_the_reply_to_the_latest_request_is_accepted() {
    let mut client = client();
    let counter = counter();
    client.wait(shared(&counter), waiter(1, 4), Mono(0));
    client.tick(Mono(0));
    assert_eq!(client.tick(Mono(99 * MS)).requests, [], "it waits for the reply");
    let again = client.tick(Mono(100 * MS)).requests[0];
    assert_eq!((again.seq, again.ceiling), (2, Amount(0)));
    assert_eq!(
        client.tick(Mono(299 * MS)).requests.len() + client.tick(Mono(300 * MS)).requests.len(),
        1,
        "the interval doubles"
    );
    assert_eq!(client.receive(&answer(&[grant(1, 10, 90)], &[], &[]), Mono(301 * MS)), []);
    assert_eq!(counter.allowance(), Amount(0));
}

#[test]
fn deadline_is_counted_from_sending_the_request() {
    let mut client = client();
    let counter = counter();
    client.wait(shared(&counter), waiter(1, 4), Mono(0));
    client.tick(Mono(50 * MS));
    client.receive(&answer(&[grant(1, 10, 90)], &[], &[]), Mono(90 * MS));
    assert_eq!(counter.deadline(), Mono(1_850 * MS));
    assert_eq!(client.clock(Mono(1_090 * MS)), Some(Timestamp(Day(20_000).start().0 + 1_000_000)));
}

#[test]
fn recall_is_answered_with_the_whole_surplus() {
    let (mut client, counter) = holding();
    assert_eq!(client.next_tick(Mono(MS)), Duration::from_millis(100));
    client.receive(&answer(&[], &[7], &[]), Mono(2 * MS));
    assert!(client.is_urgent() && client.is_recalled());
    assert_eq!(client.next_tick(Mono(2 * MS)), Duration::from_millis(25));
    let request = client.tick(Mono(3 * MS)).requests[0];
    assert_eq!((request.ceiling, request.used, request.answered_recall), (Amount(4), Amount(4), 7));
    assert_eq!(
        counter.take(Amount(1), Some(Amount(100)), Mono(3 * MS)).unwrap_err().by,
        crate::budgets::counter::RefusalCause::Lease
    );
}

#[test]
fn waiting_requests_are_woken_in_order_and_refused_only_by_later_recalls() {
    let (mut client, counter) = holding();
    for (number, amount) in [(2, 20), (3, 1)] {
        client.wait(shared(&counter), waiter(number, amount), Mono(MS));
    }
    assert_eq!(client.review(Mono(2 * MS)), [], "no request overtakes another");
    let request = client.tick(Mono(3 * MS)).requests[0];
    assert_eq!(
        (request.ceiling, request.need, request.need_fitting, request.queued),
        (Amount(10), Amount(14), Amount(15), Amount(15))
    );
    let pressing = Grant { round: 5, drained: 4, ..grant(2, 10, 3) };
    assert_eq!(client.receive(&answer(&[pressing], &[], &[]), Mono(4 * MS)), []);
    let request = client.tick(Mono(29 * MS)).requests[0];
    assert_eq!(
        (request.need, request.need_fitting, request.queued),
        (Amount(14), Amount(0), Amount(15)),
        "no request fits into the 3 that are left"
    );
    let drained = Grant { round: 6, drained: 5, ..grant(3, 10, 3) };
    assert_eq!(client.receive(&answer(&[drained], &[], &[]), Mono(30 * MS)), [verdict(2, Verdict::UsedUp)]);
    assert_eq!(client.review(Mono(31 * MS)), [verdict(3, Verdict::Retry)]);
}

#[test]
fn a_refused_request_is_told_what_a_lost_node_holds_if_it_would_be_enough() {
    for (lost, told) in [(0, 0), (10, 0), (11, 11), (90, 90)] {
        let (mut client, counter) = holding();
        client.wait(shared(&counter), waiter(2, 20), Mono(MS));
        client.tick(Mono(3 * MS));
        // Of the 20 that it needs, 6 are free and 3 are left.
        let refusal = Grant { round: 5, drained: 5, lost: Amount(lost), ..grant(2, 10, 3) };
        let decisions = client.receive(&answer(&[refusal], &[], &[]), Mono(4 * MS));
        assert_eq!(decisions, [WaitDecision { lost: Amount(told), ..verdict(2, Verdict::UsedUp) }], "{lost}");
    }
}

#[test]
fn request_that_waits_too_long_is_withheld() {
    let (mut client, counter) = holding();
    client.wait(shared(&counter), waiter(2, 20), Mono(MS));
    // The first reply was received at 1 ms.
    assert_eq!(client.review(Mono(250 * MS)), []);
    assert_eq!(client.review(Mono(251 * MS)), [verdict(2, Verdict::Withheld)]);
    assert_eq!(client.wait(shared(&counter), waiter(2, 20), Mono(251 * MS)), Some(Verdict::Withheld));
    client.wait(shared(&counter), Waiter { since: Mono(251 * MS), ..waiter(4, 20) }, Mono(251 * MS));
    client.forget(4);
    assert_eq!(client.review(Mono(900 * MS)), []);
}

#[test]
fn lease_is_closed_after_its_period_when_nothing_is_reserved() {
    let (mut client, counter) = holding();
    client.wait(shared(&counter), waiter(2, 20), Mono(MS));
    assert_eq!(client.end(Some(Timestamp(id().period.end().0 - 1))), []);
    assert_eq!(
        client.end(Some(id().period.end())),
        [verdict(2, Verdict::Retry)],
        "the next period may have the amount"
    );
    assert_eq!(client.tick(Mono(200 * MS)).closes, [], "4 are reserved");
    counter.settle(Amount(4), Amount(3));
    for _ in 0..2 {
        assert_eq!(
            client.tick(Mono(400 * MS)).closes,
            [LeaseClose { counter: id(), incarnation: 3, spent: Amount(3) }]
        );
    }
    client.receive(&answer(&[], &[], &[3]), Mono(500 * MS));
    assert!(client.is_empty());
}

#[test]
fn spent_amount_of_an_earlier_incarnation_is_sent_until_it_is_confirmed() {
    let mut client = client();
    client.close_past(id(), 2, Amount(9));
    for _ in 0..2 {
        assert_eq!(client.tick(Mono(0)).closes, [LeaseClose { counter: id(), incarnation: 2, spent: Amount(9) }]);
    }
    client.receive(&answer(&[], &[], &[2]), Mono(1));
    assert!(client.is_empty());
}

#[test]
fn fenced_client_admits_nothing() {
    let (mut client, counter) = holding();
    client.wait(shared(&counter), waiter(2, 20), Mono(MS));
    assert_eq!(client.receive(&TickReply::Fenced, Mono(2 * MS)), [verdict(2, Verdict::Withheld)]);
    assert!(client.is_fenced() && counter.take(Amount(1), Some(Amount(100)), Mono(2 * MS)).is_err());
    assert_eq!(client.tick(Mono(900 * MS)).requests, []);
}

#[test]
fn a_reply_to_another_incarnation_grants_nothing() {
    let mut client = client();
    let counter = counter();
    client.wait(shared(&counter), waiter(1, 4), Mono(0));
    let seq = client.tick(Mono(0)).requests[0].seq;
    let TickReply::Accepted(response) = answer(&[grant(seq, 10, 90)], &[], &[]) else { panic!() };
    let reply = TickReply::Accepted(TickResponse { incarnation: 2, ..response });
    assert_eq!(client.receive(&reply, Mono(MS)), []);
    assert_eq!(counter.allowance(), Amount::ZERO);
}

#[test]
fn idle_lease_is_returned_and_a_spent_one_is_not_renewed() {
    let (mut client, counter) = holding();
    assert!(client.tick(Mono(500 * MS)).requests.len() == 1, "the recent use determines the request");
    client.receive(&answer(&[grant(2, 26, 70)], &[], &[]), Mono(501 * MS));
    let renewed = client.tick(Mono(1_300 * MS)).requests[0];
    assert_eq!((renewed.ceiling, renewed.used), (Amount(26), Amount(4)));
    client.receive(&answer(&[grant(3, 26, 70)], &[], &[]), Mono(1_301 * MS));
    counter.settle(Amount(4), Amount(4));
    let idle = client.tick(Mono(2_600 * MS)).requests[0];
    assert_eq!((idle.ceiling, idle.want), (Amount(4), Amount(0)));
    client.receive(&answer(&[grant(4, 4, 92)], &[], &[]), Mono(2_601 * MS));
    assert_eq!(client.tick(Mono(9_000 * MS)).requests, []);
}

#[test]
fn a_request_waits_a_second_for_the_first_reply_and_then_for_other_nodes() {
    let mut client = client();
    let counter = counter();
    client.wait(shared(&counter), waiter(1, 4), Mono(0));
    assert_eq!(client.review(Mono(999 * MS)), []);
    assert_eq!(client.review(Mono(1_000 * MS)), [verdict(1, Verdict::Withheld)]);
    client.wait(shared(&counter), Waiter { since: Mono(1_000 * MS), ..waiter(2, 4) }, Mono(1_000 * MS));
    let seq = client.tick(Mono(1_000 * MS)).requests[0].seq;
    client.receive(&answer(&[grant(seq, 0, 0)], &[], &[]), Mono(1_900 * MS));
    assert_eq!(client.review(Mono(2_149 * MS)), [], "the recall began with the reply");
    assert_eq!(client.review(Mono(2_150 * MS)), [verdict(2, Verdict::Withheld)]);
}

/// An outage may begin at any time: the lease then contains the use of nine tenths of its lifetime, most of which is left.
#[test]
fn busy_lease_of_a_minute_holds_the_use_of_a_minute() {
    const MINUTE: Duration = Duration::from_secs(60);
    const PER_TICK: u64 = 3;
    let mut client = client();
    let counter = counter();
    client.wait(shared(&counter), waiter(1, PER_TICK), Mono(0));
    let mut requests = 0;
    let mut left = 1_000_000;
    for tick in 0..600 {
        let now = Mono(tick * 100 * MS);
        if let [request] = client.tick(now).requests[..] {
            requests += 1;
            left -= request.want.0;
            let granted = grant(request.seq, request.ceiling.0 + request.want.0, left);
            let TickReply::Accepted(response) = answer(&[granted], &[], &[]) else { panic!() };
            client.receive(&TickReply::Accepted(TickResponse { ttl: MINUTE, ..response }), now);
        }
        counter.take(Amount(PER_TICK), Some(Amount(1_000_000)), now).unwrap();
        counter.settle(Amount(PER_TICK), Amount(PER_TICK));
        if tick > 50 {
            let lifetime = counter.deadline().since(now);
            assert!(lifetime >= Duration::from_secs(53), "{lifetime:?} in tick {tick}");
            assert!(counter.free().0 >= PER_TICK * 530, "{:?} in tick {tick}", counter.free());
            assert!(counter.free().0 <= PER_TICK * 700, "{:?} in tick {tick}", counter.free());
        }
    }
    assert!((60..=70).contains(&requests), "{requests} requests in a minute");
}

/// 500 leases in steady use must not cause 5,000 requests per second.
#[test]
fn lease_in_steady_use_is_requested_occasionally() {
    const TICKS: u64 = 200;
    let (mut client, counter) = holding();
    counter.allow(Amount(100), Mono(1_000 * MS));
    let mut requests = 0;
    let mut left = 1_000_000;
    for tick in 1..=TICKS {
        let now = Mono(tick * 100 * MS);
        counter
            .take(Amount(10), Some(Amount(1_000_000)), now)
            .map_or_else(|short| panic!("{short:?} in tick {tick}"), drop);
        counter.settle(Amount(10), Amount(10));
        if let [request] = client.tick(now).requests[..] {
            requests += 1;
            left -= request.want.0;
            client.receive(
                &answer(&[grant(request.seq, request.ceiling.0 + request.want.0, left)], &[], &[]),
                Mono(now.0 + MS),
            );
        }
    }
    // The lease is renewed after each third of its two seconds.
    assert!((TICKS / 8..=TICKS / 6).contains(&requests), "{requests} requests in {TICKS} ticks");
}
