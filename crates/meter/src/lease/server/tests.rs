use access::{Amount, Day, KeyNo};

use super::super::rules::share;
use super::*;
use crate::budgets::budget::{BudgetScope, LimitPeriod, Measure};
use crate::budgets::period::Period;

const TTL: Duration = Duration::from_secs(2);
const DAY: Day = Day(20_000);
const BUDGET: BudgetId =
    BudgetId { scope: BudgetScope::Key(KeyNo(1)), measure: Measure::Credits, per: LimitPeriod::Day };
const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);

#[derive(Clone, Copy)]
struct NodeRun {
    node: NodeId,
    incarnation: u64,
}

fn run(node: NodeId, incarnation: u64) -> NodeRun {
    NodeRun { node, incarnation }
}

fn time_at(millis: u64) -> Timestamp {
    Timestamp(DAY.start().0 + 3_600_000_000 + millis * 1_000)
}

fn counter() -> CounterId {
    CounterId { budget: BUDGET, period: Period::containing(LimitPeriod::Day, DAY) }
}

fn server(limit: u64) -> LeaseServer {
    let mut server = LeaseServer::new(TTL);
    server.set_limit(BUDGET, Some(Amount(limit)));
    server
}

fn wants(seq: u64, ceiling: u64, want: u64) -> LeaseRequest {
    let counter = counter();
    let ceiling = Amount(ceiling);
    let want = Amount(want);
    LeaseRequest {
        counter,
        term: 0,
        seq,
        ceiling,
        used: ceiling,
        spent: Amount::ZERO,
        want,
        need: Amount::ZERO,
        need_fitting: Amount::ZERO,
        queued: Amount::ZERO,
        answered_recall: 0,
        limit: Amount::ZERO,
    }
}

fn needs(seq: u64, ceiling: u64, need: u64) -> LeaseRequest {
    LeaseRequest { need: Amount(need), queued: Amount(need), ..wants(seq, ceiling, need) }
}

fn response(server: &mut LeaseServer, run: NodeRun, requests: &[LeaseRequest], millis: u64) -> TickResponse {
    let NodeRun { node, incarnation } = run;
    let tick = Tick { node, incarnation, requests: requests.to_vec(), closes: Vec::new() };
    match server.take(&tick, time_at(millis)) {
        TickReply::Accepted(response) => response,
        TickReply::Fenced => panic!("{node:?} is fenced"),
    }
}

fn granted(server: &mut LeaseServer, run: NodeRun, request: LeaseRequest, millis: u64) -> u64 {
    response(server, run, &[request], millis).grants[0].granted.0
}

fn close(server: &mut LeaseServer, run: NodeRun, of: u64, spent: u64) {
    let NodeRun { node, incarnation } = run;
    let closes = vec![LeaseClose { counter: counter(), incarnation: of, spent: Amount(spent) }];
    let answer = server.take(&Tick { node, incarnation, requests: Vec::new(), closes }, time_at(0));
    assert!(matches!(answer, TickReply::Accepted(response) if response.closed == [(counter(), of)]));
}

#[test]
fn grant_is_a_share_of_what_is_left_or_what_a_request_needs() {
    let mut one = server(100);
    assert_eq!(granted(&mut one, run(A, 1), wants(1, 0, 90), 0), 25, "a quarter, with one node");
    assert_eq!(granted(&mut one, run(B, 1), wants(1, 0, 90), 0), 9, "an eighth of 75, with two");
    assert_eq!(granted(&mut one, run(A, 1), needs(2, 25, 50), 0), 75, "what a request needs");
    assert_eq!(granted(&mut one, run(B, 1), needs(2, 9, 17), 0), 9, "16 are left: a part would not admit the request");
    assert_eq!(one.granted_and_spent(counter()), (Amount(84), Amount(0)));
}

#[test]
fn unused_amount_of_a_lease_is_never_more_than_a_share() {
    for limit in [1, 99, 100, 1_000_000] {
        let mut one = server(limit);
        let mut used = 0;
        let mut granted_so_far = 0;
        // Half of the first grant is used; then the client requests repeatedly and uses nothing.
        for seq in 1..=20 {
            let request =
                LeaseRequest { ceiling: Amount(granted_so_far), used: Amount(used), ..wants(seq, 0, 10 * limit) };
            granted_so_far = granted(&mut one, run(A, 1), request, seq);
            if seq == 1 {
                used = granted_so_far / 2;
            }
            let most = share(Amount(limit), 1).0;
            assert!(granted_so_far - used <= most, "{granted_so_far} of {limit}, {used} used");
        }
    }
}

#[test]
fn large_burst_gets_the_amount_of_the_requests_that_fit() {
    let mut one = server(100);
    let burst = LeaseRequest { need_fitting: Amount(60), queued: Amount(1_000), ..needs(1, 0, 1) };
    assert_eq!(granted(&mut one, run(A, 1), burst, 0), 60);
    let late = LeaseRequest { need_fitting: Amount(60), queued: Amount(940), ..needs(2, 60, 1) };
    assert_eq!(
        granted(&mut one, run(A, 1), late, 0),
        61,
        "40 are left, fewer than the client knew: only the first request fits"
    );
}

#[test]
fn lost_duplicated_and_old_requests_change_nothing() {
    let mut one = server(100);
    assert_eq!(granted(&mut one, run(A, 1), wants(2, 0, 10), 0), 10);
    assert_eq!(granted(&mut one, run(A, 1), wants(2, 0, 10), 0), 10, "the same reply");
    assert_eq!(response(&mut one, run(A, 1), &[wants(1, 50, 10)], 0).grants, []);
    // The reply was lost: the next request returns the granted amount.
    assert_eq!(granted(&mut one, run(A, 1), wants(3, 0, 5), 0), 5);
    assert_eq!(one.granted_and_spent(counter()), (Amount(5), Amount(0)));
}

#[test]
fn earlier_incarnation_is_fenced_and_its_leases_are_closed_by_the_next() {
    let mut one = server(100);
    assert_eq!(one.join(A, 0, time_at(0)), (1, Vec::new()));
    granted(&mut one, run(A, 1), wants(1, 0, 20), 0);
    assert_eq!(one.join(A, 1, time_at(0)), (2, vec![(counter(), 1)]));
    let late = Tick { node: A, incarnation: 1, requests: vec![wants(2, 20, 20)], closes: Vec::new() };
    assert_eq!(one.take(&late, time_at(0)), TickReply::Fenced);
    for _ in 0..2 {
        close(&mut one, run(A, 2), 1, 7);
        assert_eq!(one.granted_and_spent(counter()), (Amount(0), Amount(7)));
    }
    assert_eq!(one.join(A, 9, time_at(0)), (10, Vec::new()), "a folder may know more incarnations than the server");
}

#[test]
fn exhausted_budget_recalls_other_leases_before_a_final_refusal() {
    let mut one = server(30);
    granted(&mut one, run(A, 1), needs(1, 0, 20), 0);
    granted(&mut one, run(B, 1), needs(1, 0, 10), 0);
    let request = |seq| needs(seq, 10, 5);
    let first = response(&mut one, run(B, 1), &[request(2)], 0).grants[0];
    assert_eq!((first.granted, first.left, first.round, first.drained), (Amount(10), Amount(0), 1, 0));
    let recalls = response(&mut one, run(A, 1), &[], 0).recalls;
    assert_eq!(recalls, [Recall { counter: counter(), no: 1 }]);
    // Node A uses 18 of its 20 and returns 2.
    response(&mut one, run(A, 1), &[LeaseRequest { answered_recall: 1, ..wants(2, 18, 0) }], 0);
    let second = response(&mut one, run(B, 1), &[request(3)], 0).grants[0];
    assert_eq!(
        (second.left, second.round, second.drained),
        (Amount(2), 2, 1),
        "a request that waited before the first recall is refused"
    );
    // Node A does not respond any more: after its deadline it can use nothing.
    let third = response(&mut one, run(B, 1), &[request(4)], 2_001).grants[0];
    assert_eq!((third.left, third.drained), (Amount(2), u64::MAX));
}

#[test]
fn only_periods_current_by_the_clock_of_the_server_are_lent() {
    let mut one = server(100);
    let tomorrow = CounterId { period: counter().period.next(), ..counter() };
    for (millis, lends) in [(0, false), (22 * 3_600_000 + 54 * 60_000, false), (22 * 3_600_000 + 56 * 60_000, true)] {
        let mut fresh = one.clone();
        let request = LeaseRequest { counter: tomorrow, ..wants(1, 0, 8) };
        assert_eq!(granted(&mut fresh, run(A, 1), request, millis) > 0, lends, "{millis}");
    }
    assert_eq!(granted(&mut one, run(A, 1), wants(1, 0, 8), 23 * 3_600_000 + 6 * 60_000), 0, "yesterday is over");
    one.sweep(time_at(24 * 3_600_000));
    assert_eq!(one.leases().count(), 1, "open leases are kept");
}

#[test]
fn returning_client_does_not_use_the_reclaimed_amount() {
    let mut one = server(100);
    granted(&mut one, run(A, 1), LeaseRequest { spent: Amount(4), ..needs(1, 0, 60) }, 0);
    assert_eq!(
        one.reclaim(LeaseId { counter: counter(), node: A, incarnation: 1 }, time_at(2_000)),
        None,
        "it may still be used"
    );
    assert_eq!(one.reclaim(LeaseId { counter: counter(), node: A, incarnation: 1 }, time_at(2_001)), Some(Amount(56)));
    assert_eq!(one.reclaim(LeaseId { counter: counter(), node: A, incarnation: 1 }, time_at(2_001)), None);
    assert_eq!(granted(&mut one, run(B, 1), needs(1, 0, 90), 2_001), 90);
    let back =
        response(&mut one, run(A, 1), &[LeaseRequest { ceiling: Amount(60), ..wants(2, 5, 9) }], 3_000).grants[0];
    assert_eq!((back.granted, back.term), (Amount(5), 1), "exactly the used amount");
}

#[test]
fn lowered_limit_lends_nothing_more_and_a_missing_limit_nothing() {
    let mut one = server(100);
    granted(&mut one, run(A, 1), needs(1, 0, 60), 0);
    one.set_limit(BUDGET, Some(Amount(50)));
    assert_eq!(granted(&mut one, run(A, 1), needs(2, 60, 1), 0), 60);
    one.set_limit(BUDGET, None);
    assert_eq!(granted(&mut one, run(A, 1), needs(3, 10, 1), 0), 10);
    one.set_spent_before(counter(), Amount(3));
    assert_eq!(one.granted_and_spent(counter()), (Amount(10), Amount(3)));
}

#[test]
fn a_grant_tells_what_nodes_that_do_not_respond_hold() {
    let mut server = server(100);
    let alive = run(NodeId(1), 1);
    let dead = run(NodeId(2), 1);
    granted(&mut server, dead, needs(1, 0, 40), 0);
    let told = |server: &mut LeaseServer, request: LeaseRequest, millis: u64| {
        let response = response(server, alive, &[request], millis);
        (response.grants[0].left, response.grants[0].lost)
    };
    assert_eq!(told(&mut server, needs(1, 0, 60), 10), (Amount(0), Amount(0)), "the node is alive");
    assert_eq!(told(&mut server, needs(2, 60, 1), 600_000), (Amount(0), Amount(40)));
    // A repeated request has the same reply.
    assert_eq!(told(&mut server, needs(2, 60, 1), 600_000), (Amount(0), Amount(40)));
    close(&mut server, dead, 1, 7);
    assert_eq!(told(&mut server, needs(3, 60, 1), 600_001).1, Amount(0));
}
