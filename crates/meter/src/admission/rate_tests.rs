//! The rates of plans and keys.

use std::num::NonZeroU32;
use std::time::Duration;

use access::{Caller, Credits, KeyBounds, KeyNo, Plan, PlanId, UserNo};

use super::*;

const CALLER: Caller = Caller { user: UserNo(1), key: KeyNo(7), plan: PlanId::NIL };
const AT: Timestamp = Timestamp(1_700_000_000_000_000);
const NOW: Mono = Mono(1);
const USER: BudgetScope = BudgetScope::User(CALLER.user);
const KEY: BudgetScope = BudgetScope::Key(CALLER.key);

fn plan(quota: Option<u64>, requests_per_minute: Option<u32>) -> Plan {
    let requests_per_minute = requests_per_minute.and_then(NonZeroU32::new);
    Plan { credits_per_day: quota.map(Credits), requests_per_minute, ..Plan::unlimited("test") }
}

fn own(requests_per_minute: Option<u32>) -> KeyBounds {
    KeyBounds { requests_per_minute: requests_per_minute.and_then(NonZeroU32::new), ..KeyBounds::default() }
}

fn terms<'a>(plan: &'a Plan, bounds: &'a KeyBounds) -> Terms<'a> {
    Terms { caller: CALLER, plan, bounds, budgets: &[] }
}

fn request(limits: &Arc<Limits>, price: u64) -> AdmissionRequest<'_> {
    let charge = Some(Charge::credits(Credits(price)));
    AdmissionRequest { limits, charge, at: AT, now: NOW, rate: RateSource::Here }
}

fn spend(meter: &Meter, request: &AdmissionRequest<'_>) -> Result<(), AdmissionRefusal> {
    meter.admit(request)?.commit(AT).settle_as_reserved();
    Ok(())
}

#[test]
fn free_requests_have_ten_times_the_rate_and_no_quota() {
    let meter = Meter::default();
    let plan = plan(Some(0), Some(2));
    let bounds = KeyBounds::default();
    let limits = meter.limits(&terms(&plan, &bounds));
    let free = AdmissionRequest { charge: None, ..request(&limits, 0) };
    for _ in 0..20 {
        spend(&meter, &free).unwrap();
    }
    assert!(matches!(meter.admit(&free), Err(AdmissionRefusal::Rate(RateExceeded { limit: 20, .. }, RateOwner::User))));
}

#[test]
fn rates_of_plan_and_key_both_apply() {
    for (of_plan, of_key, limit, of) in [
        (Some(5), Some(2), 2, RateOwner::Key),
        (Some(2), Some(5), 2, RateOwner::User),
        (Some(2), Some(2), 2, RateOwner::Key),
        (None, Some(2), 2, RateOwner::Key),
        (Some(2), None, 2, RateOwner::User),
    ] {
        let meter = Meter::default();
        let plan = plan(None, of_plan);
        let bounds = own(of_key);
        let limits = meter.limits(&terms(&plan, &bounds));
        for _ in 0..limit {
            spend(&meter, &request(&limits, 1)).unwrap();
        }
        let refused = meter.admit(&request(&limits, 1)).unwrap_err();
        assert!(
            matches!(refused, AdmissionRefusal::Rate(empty, whose) if empty.limit == limit && whose == of),
            "{refused:?}"
        );
        let free = AdmissionRequest { charge: None, ..request(&limits, 0) };
        assert_eq!(meter.admit(&free).unwrap().info().rate.unwrap().limit, limit * 10);
    }
}

#[test]
fn rate_of_a_plan_covers_all_keys_of_a_user() {
    let meter = Meter::default();
    let plan = plan(None, Some(60));
    let admitted = |user: i64, limit: Option<u32>| {
        let limits = |key| {
            let caller = Caller { user: UserNo(user), key: KeyNo(key), plan: PlanId::NIL };
            meter.limits(&Terms { caller, plan: &plan, bounds: &own(limit), budgets: &[] })
        };
        let of_keys: Vec<Arc<Limits>> = (0..40).map(|key| limits(user * 100 + key)).collect();
        (0..60).flat_map(|_| &of_keys).filter(|limits| spend(&meter, &request(limits, 1)).is_ok()).count()
    };
    assert_eq!((admitted(1, None), admitted(2, None)), (60, 60), "40 keys of each user");
    assert_eq!(admitted(3, Some(1)), 40, "each key has its own limit besides the user's");
    // A key that its own limit refuses takes nothing from the user.
    let limits = |key, limit| {
        let caller = Caller { user: UserNo(4), key: KeyNo(key), plan: PlanId::NIL };
        meter.limits(&Terms { caller, plan: &plan, bounds: &own(limit), budgets: &[] })
    };
    let narrow = limits(401, Some(2));
    let wide = limits(402, None);
    let narrow_admitted = (0..9).map(|_| spend(&meter, &request(&narrow, 1))).filter(Result::is_ok).count();
    let level = meter.admit(&request(&wide, 1)).unwrap().info().rate.unwrap();
    assert_eq!((narrow_admitted, level.limit, level.remaining), (2, 60, 57));
}

#[test]
fn a_request_that_the_rate_of_the_user_refuses_is_given_back_to_the_key() {
    let meter = Meter::default();
    let plan = plan(None, Some(1));
    let bounds = own(Some(5));
    let limits = meter.limits(&terms(&plan, &bounds));
    spend(&meter, &request(&limits, 1)).unwrap();
    for _ in 0..9 {
        assert!(matches!(meter.admit(&request(&limits, 1)), Err(AdmissionRefusal::Rate(_, RateOwner::User))));
    }
    assert_eq!(meter.rate_level(KEY, NonZeroU32::new(5).unwrap(), false, NOW).remaining, 4);
}

#[test]
fn granted_rates_are_counted_by_their_owners() {
    let meter = Meter::default();
    let plan = plan(None, Some(4));
    let bounds = own(Some(8));
    let limits = meter.limits(&terms(&plan, &bounds));
    let nodes = NonZeroU32::new(4).unwrap();
    let level = RateLevel { limit: 4, remaining: 3, reset: Duration::ZERO };
    let ask = |granted| AdmissionRequest { rate: RateSource::Nodes { nodes, granted }, ..request(&limits, 1) };
    // The share of the user is one request, which a grant exceeds; the share of the key refuses the third one.
    let of_user = GrantedLevels { user: Some(level), key: None };
    spend(&meter, &ask(of_user)).unwrap();
    assert_eq!(meter.admit(&ask(of_user)).unwrap().commit(AT).reserved(), Charge::credits(Credits(1)));
    assert!(matches!(meter.admit(&ask(of_user)), Err(AdmissionRefusal::Rate(_, RateOwner::Key))));
    let of_both = GrantedLevels { user: Some(level), key: Some(RateLevel { remaining: 2, ..level }) };
    assert_eq!(meter.admit(&ask(of_both)).unwrap().info().rate.unwrap().remaining, 2, "the tighter level is reported");
    assert!(matches!(meter.admit(&ask(GrantedLevels::default())), Err(AdmissionRefusal::Rate(..))));
}

#[test]
fn a_request_that_is_counted_already_takes_nothing_from_the_rate() {
    let meter = Meter::default();
    let plan = plan(None, Some(1));
    let bounds = KeyBounds::default();
    let limits = meter.limits(&terms(&plan, &bounds));
    spend(&meter, &request(&limits, 1)).unwrap();
    let further = meter.admit(&AdmissionRequest { rate: RateSource::Counted, ..request(&limits, 3) }).unwrap();
    assert_eq!((further.info().rate, meter.used(BudgetId::credits_a_day(USER), AT.day())), (None, Amount(4)));
    drop(further);
    assert!(meter.admit(&request(&limits, 1)).is_err(), "nothing is given back to the rate");
}
