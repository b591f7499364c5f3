//! The power fails under load: some unsynced writes are lost, in any order. All data that `durability: power`
//! guarantees is kept.

use e2e::faults::Shim;
use e2e::setup::Folder;
use e2e::{Gateway, Mock, Setup};

use super::dice::Dice;
use super::rounds::{Load, tell};
use super::tally::{assert_audited, assert_counts_agree, each_once, rests};
use crate::store;

/// Power cuts in `make test` and in `make soak`.
const ROUNDS: usize = 2;
const ROUNDS_LONG: usize = 6;

fn setup(mock: &Mock) -> Setup {
    Setup::provider("mock", mock.address())
        .plans("{name: much, credits_per_day: 1000000}")
        .section("spool", "{max_size: 16MiB, durability: power}")
        .section("lease", "{ttl: 20s, recall_wait: 10s}")
}

#[tokio::test]
async fn a_power_cut_takes_no_event_of_a_request_that_went_upstream() {
    let mock = Mock::start().await;
    let shim = Shim::new();
    let gateway = Gateway::start_in(Folder::new(), setup(&mock)).await;
    let load = Load::new(&gateway.account("much").await.key);
    // Writes of commands are not in the journal: the commands have ended before it begins.
    let folder = gateway.stop().await.folder;
    let data = folder.data();
    let mut dice = Dice::new(11);
    let mut doubtful = 0;
    let mut lost = 0;
    shim.set_power();
    let setup = || shim.over(setup(&mock), &data);
    let mut gateway = Gateway::start_in(folder, setup()).await;
    let rounds = if e2e::is_long() { ROUNDS_LONG } else { ROUNDS };
    for round in 1..=rounds {
        let callers = load.begin(gateway.proxy);
        load.goes_on(50 + dice.below(100)).await;
        let folder = gateway.crash().folder;
        callers.join_all().await;
        // The first round loses all unsynced writes, later rounds lose each with a probability of one half.
        let (in_doubt, gone) = shim.cut_power(&data, || round > 1 && dice.below(2) == 0);
        (doubtful, lost) = (doubtful + in_doubt, lost + gone);
        gateway = Gateway::start_in(folder, setup()).await;
        let tally = each_once(&mock, gateway.folder(), &load.answered(), true).await;
        gateway.uses(&load.key, tally.count() as u64).await;
    }
    assert!(lost > 0, "no write was unsynced");
    rests(&gateway).await;
    let tally = each_once(&mock, gateway.folder(), &load.answered(), true).await;
    assert_counts_agree(gateway.folder()).await;
    assert_audited(gateway.folder()).await;
    assert_eq!(store::integrity(gateway.folder()).await, "ok");
    tell(&format!(
        "{} events, {} interrupted, {} of them unsent; {doubtful} writes in doubt, {lost} lost in {rounds} power cuts",
        tally.count(),
        tally.interrupted,
        tally.unsent
    ));
}
