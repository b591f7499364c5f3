use std::num::NonZeroU32;
use std::sync::Arc;

use access::{Caller, Credits, KeyBounds, KeyNo, Plan, PlanId, SubjectKind, SubjectName, Timestamp, UserNo};

use super::*;
use crate::admission::{AdmissionRequest, RateSource};
use crate::budgets::budget::Charge;
use crate::limits::{Limits, SubjectTerms, Terms};

const AT: Timestamp = Timestamp(1_795_176_000_000_000);
const NOW: Mono = Mono(7_000_000_000);

fn spend(limits: &Arc<Limits>, meter: &Meter, credits: u64) {
    let charge = Some(Charge::credits(Credits(credits)));
    let ask = AdmissionRequest { limits, charge, at: AT, now: NOW, rate: RateSource::Here };
    meter.admit(&ask).unwrap().commit(AT).settle_as_reserved();
}

fn subject(name: &str) -> SubjectId {
    SubjectId::of_name(SubjectName { kind: SubjectKind::Token, issuer: "partners", name })
}

/// Spends credits of a subject with a quota of 100, or without a quota.
fn spend_of(meter: &Meter, name: &str, credits: u64, has_quota: bool) {
    let plan = Plan { credits_per_day: has_quota.then_some(Credits(100)), ..Plan::unlimited("test") };
    let terms =
        SubjectTerms { subject: subject(name), plan: &plan, counts: access::limits::plan::LongPeriods::default() };
    spend(&meter.limits_of_subject(&terms).unwrap(), meter, credits);
}

#[test]
fn subjects_are_listed_by_the_used_part_of_their_quota() {
    let meter = Meter::default();
    for (name, credits) in [("idle", 24), ("quarter", 25), ("full", 100), ("half", 50)] {
        spend_of(&meter, name, credits, true);
    }
    spend_of(&meter, "unlimited", 1_000, false);
    let (listed, all) = meter.busiest_quotas(2, AT.day());
    let quota = |name, used| BusyQuota { subject: subject(name), limit: Amount(100), used: Amount(used) };
    assert_eq!((listed.as_slice(), all), (&[quota("full", 100), quota("half", 50)][..], 3));
    assert_eq!(listed.iter().map(BusyQuota::fullness).collect::<Vec<_>>(), [1_000, 500]);
    let tomorrow = meter.busiest_quotas(2, AT.day().next());
    assert_eq!(tomorrow, (Vec::new(), 0), "a quota of another day has ended");
}

#[test]
fn keys_and_users_are_listed_by_the_used_part_of_their_rate() {
    let meter = Meter::default();
    for (key, limit, requests) in [(1, 100, 24), (2, 1_000, 250), (3, 4, 4), (4, 10, 5)] {
        // Each user has twice the rate of the key, so it is half as full.
        let plan = Plan { requests_per_minute: NonZeroU32::new(2 * limit), ..Plan::unlimited("test") };
        let bounds = KeyBounds { requests_per_minute: NonZeroU32::new(limit), ..KeyBounds::default() };
        let caller = Caller { user: UserNo(key), key: KeyNo(key), plan: PlanId::NIL };
        let limits = meter.limits(&Terms { caller, plan: &plan, bounds: &bounds, budgets: &[] });
        (0..requests).for_each(|_| spend(&limits, &meter, 1));
    }
    let (listed, all) = meter.busiest_rates(RateOwner::Key, 2, NOW);
    let of_key = |key, fullness| BusyRate { owner: BudgetScope::Key(KeyNo(key)), fullness };
    assert_eq!((listed.as_slice(), all), (&[of_key(3, 1_000), of_key(4, 500)][..], 3));
    let of_user = |user, fullness| BusyRate { owner: BudgetScope::User(UserNo(user)), fullness };
    let (listed, all) = meter.busiest_rates(RateOwner::User, 2, NOW);
    assert_eq!((listed.as_slice(), all), (&[of_user(3, 500), of_user(4, 250)][..], 2));
    let later = Mono(NOW.0 + MINUTE_NANOS);
    assert_eq!(meter.busiest_rates(RateOwner::Key, 2, later), (Vec::new(), 0), "the buckets are full again");
}
