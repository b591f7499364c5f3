use std::num::NonZeroU32;

use super::*;

const CALLER: Caller = Caller { user: UserNo(1), key: KeyNo(7) };
const AT: Timestamp = Timestamp(1_700_000_000_000_000);

fn plan(credits_per_day: Option<u64>, requests_per_minute: Option<u32>) -> Plan {
    let requests_per_minute = requests_per_minute.and_then(NonZeroU32::new);
    Plan { name: "test".to_owned(), credits_per_day, requests_per_minute }
}

fn ask(plan: &Plan, credits: Option<u32>) -> Ask<'_> {
    Ask { caller: CALLER, plan, credits: credits.map(Credits), at: AT, now: Mono(1) }
}

#[test]
fn the_quota_is_the_users_over_all_keys() {
    let (meter, plan) = (Meter::default(), plan(Some(2), None));
    let first = meter.admit(&ask(&plan, Some(1))).unwrap().commit(AT);
    let other_key = Ask { caller: Caller { key: KeyNo(8), ..CALLER }, ..ask(&plan, Some(1)) };
    let second = meter.admit(&other_key).unwrap().commit(AT);
    assert!(matches!(meter.admit(&other_key), Err(Refused::Quota(Exceeded { limit: 2, used: 2, .. }))));
    assert_eq!((meter.used(CALLER.user, AT.day()), meter.used_by_key(KeyNo(8), AT.day())), (2, 1));
    first.settle();
    second.settle();
    assert_eq!(meter.tally().settled.load(Ordering::Relaxed), 2);
}

#[test]
fn a_refusal_by_the_quota_takes_nothing_of_the_rate() {
    let (meter, plan) = (Meter::default(), plan(Some(1), Some(2)));
    meter.admit(&ask(&plan, Some(1))).unwrap().commit(AT).settle();
    for _ in 0..10 {
        assert!(matches!(meter.admit(&ask(&plan, Some(1))), Err(Refused::Quota(_))));
    }
    let free_of_quota = Plan { credits_per_day: None, ..plan };
    assert_eq!(meter.admit(&ask(&free_of_quota, Some(1))).unwrap().standing().rate.unwrap().remaining, 0);
}

#[test]
fn a_dropped_reservation_gives_everything_back() {
    let (meter, plan) = (Meter::default(), plan(Some(1), Some(1)));
    for _ in 0..10 {
        drop(meter.admit(&ask(&plan, Some(1))).unwrap());
    }
    assert_eq!(meter.used(CALLER.user, AT.day()), 0);
    assert_eq!(meter.used_by_key(CALLER.key, AT.day()), 0);
    assert_eq!(meter.tally().released.load(Ordering::Relaxed), 10);
    assert!(meter.admit(&ask(&plan, Some(1))).is_ok());
}

#[test]
fn an_unsettled_commitment_stays_counted_and_is_seen() {
    let (meter, plan) = (Meter::default(), plan(Some(1), None));
    drop(meter.admit(&ask(&plan, Some(1))).unwrap().commit(AT));
    assert_eq!(meter.used(CALLER.user, AT.day()), 1);
    assert_eq!(meter.tally().interrupted.load(Ordering::Relaxed), 1);
}

#[test]
fn free_calls_have_ten_times_the_rate_and_no_quota() {
    let (meter, plan) = (Meter::default(), plan(Some(0), Some(2)));
    for _ in 0..20 {
        meter.admit(&ask(&plan, None)).unwrap().commit(AT).settle();
    }
    assert!(matches!(meter.admit(&ask(&plan, None)), Err(Refused::Rate(Empty { limit: 20, .. }))));
}

#[test]
fn sweep_forgets_yesterday_but_not_what_is_held() {
    let (meter, plan) = (Meter::default(), plan(None, None));
    let held = meter.admit(&ask(&plan, Some(1))).unwrap();
    meter.restore(Caller { user: UserNo(2), key: KeyNo(9) }, AT.day(), 5);
    meter.sweep(AT.day().next());
    assert_eq!((meter.used(UserNo(2), AT.day()), meter.used(CALLER.user, AT.day())), (0, 1));
    drop(held);
}
