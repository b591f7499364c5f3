//! Cost of admission under five limits, and memory of a million keys: `cargo bench -p meter`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

use std::num::NonZeroU32;
use std::sync::Arc;

use access::{Amount, Clock, Credits, KeyBounds, KeyNo, Mono, NanoUsd, Plan, PlanId, Timestamp, Tokens, UserNo};
use meter::Caller;
use meter::admission::{AdmissionRequest, Meter, RateSource};
use meter::budgets::budget::{BudgetId, BudgetScope, Charge, LimitPeriod, Measure};
use meter::limits::{Limits, Terms};

const ROUNDS: u64 = 5_000_000;
const KEYS: i64 = 1_000_000;
const KEYS_OF_A_USER: i64 = 4;
const AT: Timestamp = Timestamp(1_760_000_000_000_000);
const CHARGE: Charge = Charge { credits: Credits(1), tokens: Tokens(2_000), ..Charge::money(NanoUsd(900)) };
const ACTUAL: Charge = Charge { credits: Credits(1), tokens: Tokens(450), ..Charge::money(NanoUsd(120)) };

fn main() -> Result<(), Box<dyn std::error::Error>> {
    time()?;
    race(&Clock::system());
    share(&Clock::system());
    weigh()?;
    Ok(())
}

/// A rate, credits of key and user, and money of the user (day) and of all users (month).
fn five_limits(meter: &Meter, key: i64) -> Arc<Limits> {
    let plan = Plan {
        credits_per_day: Some(Credits::MAX),
        requests_per_minute: NonZeroU32::new(u32::MAX),
        ..Plan::unlimited("bench")
    };
    let bounds = KeyBounds { credits_per_day: Some(Credits::MAX), ..KeyBounds::default() };
    let caller = Caller { user: UserNo(1), key: KeyNo(key), plan: PlanId::NIL };
    let budgets = [
        (
            BudgetId { scope: BudgetScope::User(caller.user), measure: Measure::Money, per: LimitPeriod::Day },
            Amount::MAX,
        ),
        (BudgetId { scope: BudgetScope::Global, measure: Measure::Money, per: LimitPeriod::Month }, Amount::MAX),
    ];
    meter.limits(&Terms { caller, plan: &plan, bounds: &bounds, budgets: &budgets })
}

fn admit_and_settle(meter: &Meter, limits: &Arc<Limits>, now: Mono) -> bool {
    let ask = AdmissionRequest { limits, charge: Some(CHARGE), at: AT, now, rate: RateSource::Here };
    meter.admit(&ask).map(|reservation| reservation.commit(AT).settle(&ACTUAL)).is_ok()
}

/// Time on one core, independent of other load.
fn time() -> Result<(), Box<dyn std::error::Error>> {
    let meter = Meter::default();
    let limits = five_limits(&meter, 7);
    let begun = cpu_nanos()?;
    let admitted: u64 =
        (0..ROUNDS).map(|round| u64::from(admit_and_settle(&meter, &limits, Mono(round * 1_000)))).sum();
    let nanos = (cpu_nanos()? - begun) / ROUNDS;
    println!("admitting, committing and settling five limits: {nanos} ns of CPU ({admitted} of {ROUNDS} admitted)");

    let begun = cpu_nanos()?;
    for round in 0..ROUNDS {
        drop(meter.admit(&AdmissionRequest {
            limits: &limits,
            charge: Some(CHARGE),
            at: AT,
            now: Mono(round * 1_000),
            rate: RateSource::Here,
        }));
    }
    println!("admitting and releasing them: {} ns of CPU", (cpu_nanos()? - begun) / ROUNDS);
    Ok(())
}

/// All cores with the same user: no locks, but cache lines move between cores.
fn race(clock: &Clock) {
    let (threads, nanos) = all_cores(clock, five_limits);
    println!("the same on {threads} cores, with keys of one user: {nanos} ns on each");
}

/// Cost of one budget that all cores share, compared with one budget per core.
fn share(clock: &Clock) {
    let of = |scope| BudgetId { scope, measure: Measure::Money, per: LimitPeriod::Month };
    let (_, own) = all_cores(clock, |meter, user| one_budget(meter, user, of(BudgetScope::User(UserNo(user)))));
    let (threads, shared) = all_cores(clock, |meter, user| one_budget(meter, user, of(BudgetScope::Global)));
    println!("one budget per core on {threads} cores: {own} ns on each; one shared budget: {shared} ns");
}

fn one_budget(meter: &Meter, user: i64, budget: BudgetId) -> Arc<Limits> {
    let plan = Plan::unlimited("bench");
    let bounds = KeyBounds::default();
    let caller = Caller { user: UserNo(user), key: KeyNo(user), plan: PlanId::NIL };
    meter.limits(&Terms { caller, plan: &plan, bounds: &bounds, budgets: &[(budget, Amount::MAX)] })
}

/// Returns the number of cores, and the nanoseconds per request while all of them admit requests.
fn all_cores(clock: &Clock, limits: impl Fn(&Meter, i64) -> Arc<Limits> + Sync) -> (usize, u128) {
    let meter = Meter::default();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let begun = clock.mono();
    std::thread::scope(|scope| {
        for number in (1..).take(threads) {
            let meter = &meter;
            let limits = &limits;
            scope.spawn(move || {
                let limits = limits(meter, number);
                (0..ROUNDS).filter(|round| admit_and_settle(meter, &limits, Mono(round * 1_000))).count()
            });
        }
    });
    (threads, clock.mono().since(begun).as_nanos() / u128::from(ROUNDS))
}

/// Memory of keys that were used today, each with its own quota.
fn weigh() -> Result<(), Box<dyn std::error::Error>> {
    let meter = Meter::default();
    let before = resident_bytes()?;
    let plan = Plan { credits_per_day: Some(Credits(1_000)), ..Plan::unlimited("bench") };
    let bounds = KeyBounds { credits_per_day: Some(Credits(100)), ..KeyBounds::default() };
    for key in 0..KEYS {
        let caller = Caller { user: UserNo(key / KEYS_OF_A_USER), key: KeyNo(key), plan: PlanId::NIL };
        let limits = meter.limits(&Terms { caller, plan: &plan, bounds: &bounds, budgets: &[] });
        if !admit_and_settle(&meter, &limits, Mono(1)) {
            return Err("a first request was not admitted".into());
        }
    }
    let bytes = resident_bytes()?.saturating_sub(before);
    println!(
        "{KEYS} live keys of {} users, each with a quota: {} MB, {} bytes a key",
        KEYS / KEYS_OF_A_USER,
        bytes / 1_000_000,
        bytes / KEYS.unsigned_abs()
    );
    if meter.used(
        BudgetId { scope: BudgetScope::Key(KeyNo(0)), measure: Measure::Credits, per: LimitPeriod::Day },
        AT.day(),
    ) != Amount(1)
    {
        return Err("the used amounts are not counted".into());
    }
    Ok(())
}

/// Processor time of this thread (Linux, `Documentation/scheduler/sched-stats.rst`).
fn cpu_nanos() -> Result<u64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(stat.split(' ').next().ok_or("an empty schedstat")?.parse()?)
}

/// Resident memory of the process (`proc_pid_status(5)`, VmRSS).
fn resident_bytes() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1_024)
}
