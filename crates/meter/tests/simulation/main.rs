//! A simulation of nodes that share budgets under all kinds of faults; a seed reproduces a run.
//!
//! After every step it checks that no limit is exceeded and that every refusal as exhausted is true. At the end,
//! everything that was spent is counted once, and nothing stays taken. One seed alone: `SEED=17 cargo test -p meter
//! --test simulation one_seed`.

#![cfg(test)]

mod broken_rules;
mod coverage;
mod fault;
mod node;
mod oracle;
mod prng;
mod setup;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use broken_rules::{BrokenRule, RulesExcept};
use coverage::Coverage;
use oracle::Fault;
use setup::Setup;
use world::World;

/// Number of seeds; `make soak` runs ten times as many.
const SEEDS: u64 = 1_000;
const STEPS: usize = 2_000;
/// Number of seeds within which a broken rule must be detected.
const SEEDS_OF_A_MUTANT: u64 = 1_000;

/// Runs the simulation of one seed.
fn live(seed: u64, rules: RulesExcept) -> (Coverage, Result<(), Fault>) {
    let mut world = World::new(seed, Setup::from_seed(seed), rules);
    let lived = (0..STEPS).try_for_each(|_| {
        world.inject_faults();
        world.step()
    });
    let lived = lived.and_then(|()| world.close());
    (world.coverage, lived)
}

/// Runs `job` for 0 to `below` - 1 on every core, until the job returns false.
fn on_every_core(below: u64, job: impl Fn(u64) -> bool + Sync) {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let number @ 0.. = next.fetch_add(1, Ordering::Relaxed)
                    && number < below
                    && job(number)
                {}
            });
        }
    });
}

#[test]
fn nothing_is_overspent_lost_or_leaked_and_every_refusal_is_true() {
    let all = Mutex::new(Coverage::default());
    let faults = Mutex::new(Vec::new());
    let is_long = std::env::var("TOLLGATE_TEST_LONG").is_ok_and(|long| long == "1");
    on_every_core(if is_long { 10 * SEEDS } else { SEEDS }, |seed| {
        let (coverage, lived) = live(seed, RulesExcept(None));
        all.lock().unwrap().add(&coverage);
        if let Err(Fault(fault)) = lived {
            faults.lock().unwrap().push((seed, fault));
        }
        faults.lock().unwrap().len() < 10
    });
    let all = all.into_inner().unwrap();
    let faults = faults.into_inner().unwrap();
    println!("{all}");
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(all.gaps(), [], "every fault happens in every state");
}

#[test]
fn every_broken_rule_is_detected() {
    let unseen = Mutex::new(Vec::new());
    let mutants = BrokenRule::ALL;
    on_every_core(mutants.len() as u64, |number| {
        let mutant = mutants[usize::try_from(number).unwrap()];
        let seen = (0..SEEDS_OF_A_MUTANT)
            .find_map(|seed| live(seed, RulesExcept(Some(mutant))).1.err().map(|fault| (seed, fault)));
        match seen {
            Some((seed, Fault(fault))) => println!("{mutant:?}: seed {seed}: {fault:.140}"),
            None => unseen.lock().unwrap().push(mutant),
        }
        true
    });
    assert_eq!(unseen.into_inner().unwrap(), []);
}

#[test]
fn quota_of_a_hundred_over_live_nodes_admits_exactly_a_hundred() {
    on_every_core(300, |seed| {
        let nodes = usize::try_from(seed % 4 + 1).unwrap();
        let calm = Setup::calm(seed, nodes, [100, 1 << 40]);
        // A lease of a longer lifetime contains more, and returns it as well.
        let ttl = if seed % 10 == 9 { calm.ttl * 10 } else { calm.ttl };
        let mut world = World::new(seed, Setup { arrival_us: 20_000, ttl, ..calm }, RulesExcept(None));
        (0..STEPS * 2).try_for_each(|_| world.step()).unwrap();
        let Coverage { admitted, used_up, withheld, .. } = world.coverage;
        world.close().unwrap();
        let spent = world.oracle.counters.iter().find(|(counter, _)| counter.budget == world::BUDGETS[0]);
        assert_eq!((spent.unwrap().1.spent, admitted, withheld), (100, 100, 0), "seed {seed}");
        assert!(used_up > 100, "seed {seed}: {used_up}");
        true
    });
}

/// Less than a twentieth of the budget is lost to high reservations, idle leases and waiting.
#[test]
fn budget_is_spent_almost_completely_before_the_last_refusal() {
    on_every_core(600, |seed| {
        let calm =
            Setup { arrival_us: 20_000, ..Setup::calm(seed, usize::try_from(seed % 4 + 1).unwrap(), [1 << 40, 3_000]) };
        let setup = match seed % 3 {
            0 => calm,
            1 => Setup { lost: 30, late: 30, duplicated: 30, ..calm },
            _ => Setup { freeze: 5, pause: 3, clocks: true, ..calm },
        };
        let mut world = World::new(seed, setup, RulesExcept(None));
        for _ in 0..STEPS * 4 {
            world.inject_faults();
            world.step().unwrap();
        }
        world.heal().unwrap();
        for _ in 0..STEPS * 2 {
            world.step().unwrap();
        }
        let refused = world.last_refusal.iter().find(|(counter, _)| counter.budget == world::BUDGETS[1]);
        let (spent, limit) = *refused.unwrap_or_else(|| panic!("seed {seed}: nothing was refused")).1;
        assert!(spent * 100 >= limit * 95, "seed {seed}: {spent} of {limit} spent at the last refusal");
        true
    });
}

#[test]
fn one_seed() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let (coverage, lived) = live(seed, RulesExcept(None));
    println!("{:#?}\n{coverage}", Setup::from_seed(seed));
    assert_eq!(lived, Ok(()));
}
