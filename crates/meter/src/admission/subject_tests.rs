//! Limits of subjects without a user: they count as those of a user do.

use access::{Amount, Credits, KeyBounds, KeyNo, Mono, NanoUsd, Plan, PlanId, SubjectId, Timestamp, UserNo};
use proptest::prelude::*;

use super::*;
use access::Caller;

const AT: Timestamp = Timestamp(1_700_000_000_000_000);
const SUBJECT: SubjectId = SubjectId(uuid::Uuid::from_u128(7));
const QUOTA: BudgetId = BudgetId::credits_a_day(BudgetScope::Subject(SUBJECT));

fn plan(credits_per_day: Option<Credits>, per_month: &[(Measure, u64)]) -> Plan {
    let budget =
        |(measure, amount): &(Measure, u64)| access::Budget::new(*measure, LimitPeriod::Month, Amount(*amount));
    let budgets = per_month.iter().map(budget).collect();
    let unlimited = Plan::unlimited("test");
    Plan { credits_per_day, requests_per_minute: Some(NonZeroU32::MIN), budgets, ..unlimited }
}

fn of_subject(meter: &Meter, plan: &Plan) -> Arc<Limits> {
    meter
        .limits_of_subject(&SubjectTerms {
            subject: SUBJECT,
            plan,
            counts: access::limits::plan::LongPeriods::default(),
        })
        .unwrap()
}

fn request(limits: &Arc<Limits>, charge: Charge) -> AdmissionRequest<'_> {
    AdmissionRequest { limits, charge: Some(charge), at: AT, now: Mono(1), rate: RateSource::Here }
}

#[test]
fn a_subject_has_the_quota_and_budgets_of_its_plan_and_no_rate_in_the_meter() {
    let meter = Meter::default();
    let plan = plan(Some(Credits(3)), &[(Measure::Credits, 5)]);
    let limits = of_subject(&meter, &plan);
    let one = Charge::credits(Credits(1));
    for _ in 0..3 {
        let reservation = meter.admit(&request(&limits, one)).unwrap();
        assert!(reservation.info().rate.is_none() && reservation.limits(Measure::Credits));
        reservation.commit(AT).settle_as_reserved();
    }
    let Err(AdmissionRefusal::Budget(refused)) = meter.admit(&request(&limits, one)) else { panic!("not refused") };
    assert_eq!((refused.budget, refused.limit, refused.by), (QUOTA, Amount(3), RefusalCause::Limit));
    let tomorrow = AT.day().next().start();
    let after = AdmissionRequest { at: tomorrow, ..request(&limits, Charge::credits(Credits(2))) };
    meter.admit(&after).unwrap().commit(tomorrow).settle_as_reserved();
    let Err(AdmissionRefusal::Budget(refused)) = meter.admit(&AdmissionRequest { charge: Some(one), ..after }) else {
        panic!("not refused")
    };
    assert_eq!((refused.budget.per, refused.used), (LimitPeriod::Month, Amount(5)));
    assert_eq!(
        meter.admit(&request(&limits, Charge::default())).unwrap().day(AT),
        tomorrow.day(),
        "days never go back"
    );
}

#[test]
fn usage_under_another_plan_counts_in_the_budget_of_the_month() {
    let meter = Meter::default();
    let of_day = plan(Some(Credits(10)), &[]);
    let of_month = plan(None, &[(Measure::Credits, 5)]);
    let one = Charge::credits(Credits(1));
    let [first, second] = [&of_day, &of_month].map(|plan| SubjectTerms {
        subject: SUBJECT,
        plan,
        counts: access::limits::plan::LongPeriods { month: true, ..Default::default() },
    });
    assert!(!meter.has_begun(&first, AT.day()));
    let limits = meter.limits_of_subject(&first).unwrap();
    for _ in 0..4 {
        meter.admit(&request(&limits, one)).unwrap().commit(AT).settle_as_reserved();
    }
    assert!(meter.has_begun(&second, AT.day()) && !meter.has_begun(&second, AT.day().next()));
    let limits = meter.limits_of_subject(&second).unwrap();
    meter.admit(&request(&limits, one)).unwrap().commit(AT).settle_as_reserved();
    let Err(AdmissionRefusal::Budget(refused)) = meter.admit(&request(&limits, one)) else { panic!("not refused") };
    assert_eq!((refused.budget.per, refused.used), (LimitPeriod::Month, Amount(5)));
}

#[test]
fn usage_while_no_plan_limits_the_month_counts_if_a_plan_does_so_again() {
    let meter = Meter::default();
    let of_day = plan(Some(Credits(10)), &[]);
    let of_month = plan(None, &[(Measure::Credits, 5)]);
    for plan in [&of_month, &of_day] {
        let two = Charge::credits(Credits(2));
        meter.admit(&request(&of_subject(&meter, plan), two)).unwrap().commit(AT).settle_as_reserved();
    }
    let limits = of_subject(&meter, &of_month);
    let refused = meter.admit(&request(&limits, Charge::credits(Credits(2)))).unwrap_err();
    assert!(matches!(refused, AdmissionRefusal::Budget(exceeded) if exceeded.used == Amount(4)), "{refused:?}");
}

#[test]
fn counters_of_a_subject_are_kept_until_their_period_ends() {
    let meter = Meter::default();
    let plan = plan(None, &[]);
    meter.begin(QUOTA, AT.day(), Amount(5));
    meter.sweep(AT.day());
    assert_eq!((meter.used(QUOTA, AT.day()), meter.has_room_for(SUBJECT)), (Amount(5), true));
    assert!(!of_subject(&meter, &plan).limits_budgets());
    meter.sweep(AT.day().next());
    assert!(meter.counter(QUOTA).is_none());
}

proptest! {
    /// Whatever a subject and a user with the same plan do, the same requests are admitted, and the same amounts are used.
    #[test]
    fn a_subject_counts_as_a_user_does(steps in prop::collection::vec((0_u8..4, 0_u64..4, 0_i64..40, 0_u32..3), 1..60)) {
        let meter = Meter::default();
        let plan = plan(Some(Credits(9)), &[(Measure::Credits, 14), (Measure::Money, 200)]);
        let user = BudgetScope::User(UserNo(1));
        let bounds = KeyBounds::default();
        let caller = Caller { user: UserNo(1), key: KeyNo(2), plan: PlanId::NIL };
        let budgets: Vec<_> = plan.budgets.iter().map(|budget| budget.id_and_amount(user)).collect();
        let without_rate = Plan { requests_per_minute: None, ..plan.clone() };
        let terms = Terms { caller, plan: &without_rate, bounds: &bounds, budgets: &budgets };
        let both = [of_subject(&meter, &plan), meter.limits(&terms)];
        let mut held = Vec::new();
        for (step, credits, money, days) in steps {
            let charge = Charge { credits: Credits(credits), ..Charge::money(NanoUsd(money)) };
            let at = AT.after(std::time::Duration::from_hours(24 * u64::from(days)));
            match step {
                0..=1 => {
                    let admitted = both.each_ref().map(|limits| meter.admit(&AdmissionRequest { at, ..request(limits, charge) }));
                    prop_assert_eq!(admitted[0].is_ok(), admitted[1].is_ok());
                    if let [Ok(one), Ok(other)] = admitted {
                        prop_assert_eq!(one.day(at), other.day(at));
                        held.push([one.commit(at), other.commit(at)]);
                    }
                }
                2 => held.pop().into_iter().flatten().for_each(|committed| committed.settle(&charge)),
                _ => drop(held.pop()),
            }
            let ids = plan.budgets.iter().map(|budget| (budget.measure, budget.per)).chain([(Measure::Credits, LimitPeriod::Day)]);
            for (measure, per) in ids {
                let [of_subject, of_user] = [BudgetScope::Subject(SUBJECT), user]
                    .map(|scope| meter.counter(BudgetId { scope, measure, per }).map(|of| (of.period(), of.used(), of.spent())));
                prop_assert_eq!(of_subject, of_user);
            }
        }
    }
}
