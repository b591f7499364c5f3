//! Money of calls with the user's own credential: the budgets of its key and user count it, pooled budgets do not.

use access::{Amount, Caller, Credits, KeyBounds, KeyNo, Mono, NanoUsd, Plan, PlanId, Timestamp, Tokens, UserNo};

use super::*;

const CALLER: Caller = Caller { user: UserNo(1), key: KeyNo(7), plan: PlanId::NIL };
const AT: Timestamp = Timestamp(1_700_000_000_000_000);
const SCOPES: [BudgetScope; 4] =
    [BudgetScope::Key(CALLER.key), BudgetScope::User(CALLER.user), BudgetScope::Plan(CALLER.plan), BudgetScope::Global];

const fn monthly_budget(scope: BudgetScope, measure: Measure) -> BudgetId {
    BudgetId { scope, measure, per: LimitPeriod::Month }
}

fn limits(meter: &Meter, budgets: &[(BudgetId, Amount)]) -> Arc<Limits> {
    let plan = Plan::unlimited("test");
    let bounds = KeyBounds::default();
    meter.limits(&Terms { caller: CALLER, plan: &plan, bounds: &bounds, budgets })
}

fn request(limits: &Arc<Limits>, charge: Charge) -> AdmissionRequest<'_> {
    AdmissionRequest { limits, charge: Some(charge), at: AT, now: Mono(1), rate: RateSource::Here }
}

fn refused_by(meter: &Meter, request: &AdmissionRequest<'_>) -> BudgetId {
    let Err(AdmissionRefusal::Budget(refused)) = meter.admit(request) else { panic!("not refused") };
    refused.budget
}

#[test]
fn each_scope_counts_the_money_of_its_own_calls_and_pooled_scopes_do_not() {
    let meter = Meter::default();
    let limits = limits(&meter, &SCOPES.map(|scope| (monthly_budget(scope, Measure::Money), Amount(1_000))));
    let shared = Charge { credits: Credits(1), ..Charge::money(NanoUsd(300)) };
    let used = || SCOPES.map(|scope| meter.used(monthly_budget(scope, Measure::Money), AT.day()).0);
    let own = meter.admit(&request(&limits, shared.unpooled())).unwrap().commit(AT);
    assert_eq!(used(), [300, 300, 0, 0]);
    assert!(!own.exceeds(&shared.unpooled()) && own.exceeds(&shared), "pooled budgets have no reservation");
    let of_operator = meter.admit(&request(&limits, shared)).unwrap().commit(AT);
    assert_eq!(used(), [600, 600, 300, 300]);
    let left = limits.left(AT);
    assert_eq!((left.money, left.pooled_money), (NanoUsd(400), NanoUsd(700)));
    own.settle(&Charge::money(NanoUsd(900)).unpooled());
    of_operator.settle(&Charge::money(NanoUsd(50)));
    assert_eq!(used(), [950, 950, 50, 50]);
    let refused = refused_by(&meter, &request(&limits, shared.unpooled()));
    assert_eq!(refused.scope, BudgetScope::Key(CALLER.key), "the budget of the user's key protects the user's account");
}

#[test]
fn an_exhausted_pooled_budget_of_money_refuses_no_own_call_and_one_of_tokens_does() {
    for scope in [BudgetScope::Plan(CALLER.plan), BudgetScope::Global] {
        let meter = Meter::default();
        let budgets =
            [(monthly_budget(scope, Measure::Money), Amount(100)), (monthly_budget(scope, Measure::Tokens), Amount(9))];
        let limits = limits(&meter, &budgets);
        assert!(limits.limits_money(false) && !limits.limits_money(true));
        let charge = Charge { tokens: Tokens(5), ..Charge::money(NanoUsd(101)) };
        assert_eq!(refused_by(&meter, &request(&limits, charge)), monthly_budget(scope, Measure::Money));
        meter.admit(&request(&limits, charge.unpooled())).unwrap().commit(AT).settle_as_reserved();
        assert_eq!(refused_by(&meter, &request(&limits, charge.unpooled())), monthly_budget(scope, Measure::Tokens));
        assert_eq!(meter.used(monthly_budget(scope, Measure::Money), AT.day()), Amount(0));
    }
}

/// A further attempt reserves, in each kind of budget, the amounts that exceed the reserved and unused ones.
#[test]
fn after_an_own_attempt_a_shared_one_reserves_the_money_of_pooled_budgets_only() {
    let own = Charge::money(NanoUsd(300)).unpooled();
    let shared = Charge::money(NanoUsd(200));
    let reserved = own;
    let used = Charge::money(NanoUsd(40)).unpooled();
    let more = used.and(&shared).less(&reserved);
    assert_eq!((more.money, more.pooled_money), (NanoUsd(0), NanoUsd(200)));
    let meter = Meter::default();
    let limits = limits(&meter, &SCOPES.map(|scope| (monthly_budget(scope, Measure::Money), Amount(300))));
    let first = meter.admit(&request(&limits, own)).unwrap().commit(AT);
    let further = meter.admit(&request(&limits, more)).unwrap().commit(AT);
    first.settle(&used.and(&shared).less(&more));
    further.settle(&more);
    let used = SCOPES.map(|scope| meter.used(monthly_budget(scope, Measure::Money), AT.day()).0);
    assert_eq!(used, [240, 240, 200, 200]);
}

#[test]
fn a_lease_of_a_pooled_budget_is_not_short_for_an_own_call() {
    let meter = Meter::leased();
    let limits = limits(&meter, &SCOPES.map(|scope| (monthly_budget(scope, Measure::Money), Amount(1_000))));
    let charge = Charge::money(NanoUsd(5));
    let short =
        |charge| request(&limits, charge).shortfalls().iter().map(|lack| lack.id.budget.scope).collect::<Vec<_>>();
    assert_eq!(short(charge), SCOPES);
    assert_eq!(short(charge.unpooled()), SCOPES[..2]);
}
