//! Claims on jobs. Tests change the times in rows instead of waiting, since PostgreSQL uses its own clock.

use std::time::Duration;

use access::Timestamp;
use cluster::{Cluster, JobClaims, JobRecord};
use jobs::{CLAIM_TTL, ClaimEnd, FinishedRun, JobOutcome, JobSpec, Owner, Ownership};
use store::{Node, Store};

use crate::world::World;

const HOUR: Duration = Duration::from_hours(1);
const SPEC: JobSpec = JobSpec { owner: Owner::OneNode, ..JobSpec::every("test", HOUR) };

/// Returns two nodes of one store.
async fn nodes(world: &World) -> [Node; 2] {
    let store = world.store().await;
    let folder = tempfile::tempdir().unwrap();
    [world.node(&store).await, store.join(folder.path(), "1.2.3").await.unwrap()]
}

async fn claims(world: &World) -> [JobClaims; 2] {
    nodes(world).await.map(JobClaims::new)
}

fn end(outcome: JobOutcome, error: Option<&str>) -> ClaimEnd {
    let run = FinishedRun {
        started_at: Timestamp(1),
        ended_at: Timestamp(2),
        duration: Duration::from_millis(1_500),
        outcome,
        error: error.map(str::to_owned),
    };
    ClaimEnd { run: Some(run), pause: HOUR }
}

async fn record(store: &Store) -> JobRecord {
    let mut records = Cluster::new(store.clone()).job_records().await.unwrap();
    assert_eq!(records.len(), 1);
    records.remove(0)
}

async fn change(store: &Store, statement: &'static str) {
    let mut transaction = store.begin().await.unwrap();
    assert_eq!(transaction.query(statement).run().await.unwrap(), 1);
    transaction.commit().await.unwrap();
}

pub(crate) async fn of_two_nodes_one_gets_a_claim_until_it_ends_or_expires(world: &World) {
    let [one, other] = nodes(world).await;
    let store = one.store().clone();
    let first = JobClaims::new(one.clone());
    let second = JobClaims::new(other.clone());
    let (won, lost) = tokio::join!(first.claim(&SPEC), second.claim(&SPEC));
    assert_ne!(won.unwrap(), lost.unwrap());
    let owner = record(&store).await.running.unwrap().0;
    let ((owner, claims), (next, rival)) = if owner == one.id() {
        ((one.id(), first), (other.id(), second))
    } else {
        ((other.id(), second), (one.id(), first))
    };
    assert!(!rival.claim(&SPEC).await.unwrap() && !rival.renew(&SPEC).await.unwrap());
    assert!(!rival.finish(&SPEC, &end(JobOutcome::Succeeded, None)).await.unwrap());
    assert!(claims.renew(&SPEC).await.unwrap());
    assert!(claims.claim(&SPEC).await.unwrap(), "the end of its last claim got no response");
    change(&store, "UPDATE jobs SET claimed_until = 1").await;
    assert_eq!(record(&store).await.running, None);
    assert!(rival.claim(&SPEC).await.unwrap(), "the claim of {owner} expired");
    assert_eq!(record(&store).await.running.unwrap().0, next);
    assert!(!claims.renew(&SPEC).await.unwrap() && !claims.claim(&SPEC).await.unwrap());
    assert!(!claims.finish(&SPEC, &end(JobOutcome::Succeeded, None)).await.unwrap(), "its run is not recorded");
    assert_eq!(record(&store).await.runs, 0);
}

pub(crate) async fn a_run_is_recorded_and_the_next_one_waits(world: &World) {
    let [one, other] = nodes(world).await;
    let store = one.store().clone();
    let node = one.id();
    let one = JobClaims::new(one);
    let other = JobClaims::new(other);
    assert!(one.claim(&SPEC).await.unwrap());
    let long = format!("no\0 database: {}", "é".repeat(1_000));
    assert!(one.finish(&SPEC, &end(JobOutcome::Failed, Some(&long))).await.unwrap());
    assert!(!one.finish(&SPEC, &end(JobOutcome::Failed, None)).await.unwrap(), "no claim is left");
    let failed = record(&store).await;
    let last = failed.last.unwrap();
    assert_eq!((last.node, last.outcome.as_str(), last.duration), (node, "failed", Duration::from_millis(1_500)));
    assert!(last.error.as_ref().unwrap().starts_with("no database: éé") && last.error.unwrap().len() <= 1_000);
    assert_eq!((failed.runs, failed.failures, failed.last_success_at, failed.running), (1, 1, None, None));
    assert!(failed.next_run_at.0 - last.started_at.0 >= 3_600_000_000);
    for claims in [&one, &other] {
        assert!(!claims.claim(&SPEC).await.unwrap(), "no run is due");
    }
    change(&store, "UPDATE jobs SET next_run_at = 1").await;
    assert!(other.claim(&SPEC).await.unwrap());
    assert!(other.finish(&SPEC, &end(JobOutcome::Succeeded, None)).await.unwrap());
    let succeeded = record(&store).await;
    let last = succeeded.last.unwrap();
    assert_eq!((last.outcome.as_str(), last.error, succeeded.runs, succeeded.failures), ("succeeded", None, 2, 1));
    assert!(last.node != node && succeeded.last_success_at.is_some());
}

pub(crate) async fn a_run_that_was_dropped_frees_its_claim_and_is_not_counted(world: &World) {
    let [one, other] = claims(world).await;
    assert!(one.claim(&SPEC).await.unwrap());
    assert!(one.finish(&SPEC, &ClaimEnd { run: None, pause: Duration::ZERO }).await.unwrap());
    let store = world.store().await;
    let record = record(&store).await;
    assert_eq!((record.runs, record.last, record.running), (0, None, None));
    assert!(other.claim(&SPEC).await.unwrap());
}

pub(crate) async fn a_restarted_node_takes_over_its_own_claim_and_its_predecessor_cannot(world: &World) {
    let store = world.store().await;
    let before = JobClaims::new(world.node(&store).await);
    assert!(before.claim(&SPEC).await.unwrap());
    let after = JobClaims::new(world.node(&store).await);
    assert!(after.claim(&SPEC).await.unwrap());
    assert!(!before.claim(&SPEC).await.unwrap() && !before.renew(&SPEC).await.unwrap());
    assert!(after.renew(&SPEC).await.unwrap());
}

pub(crate) async fn a_clock_that_was_ahead_delays_no_job(world: &World) {
    let [one, other] = claims(world).await;
    let store = world.store().await;
    assert!(one.claim(&SPEC).await.unwrap());
    change(&store, "UPDATE jobs SET claimed_until = 4000000000000000").await;
    assert!(other.claim(&SPEC).await.unwrap(), "no claim is valid for years");
    assert!(other.finish(&SPEC, &end(JobOutcome::Succeeded, None)).await.unwrap());
    change(&store, "UPDATE jobs SET next_run_at = 4000000000000000").await;
    assert!(one.claim(&SPEC).await.unwrap(), "no pause takes years");
    assert!(CLAIM_TTL < HOUR);
}

/// PostgreSQL's clock is read before the write, so a node may write times of a later reading before one that read it earlier.
pub(crate) async fn times_of_a_later_reading_of_the_clock_are_valid(world: &World) {
    let [one, other] = claims(world).await;
    let store = world.store().await;
    assert!(one.claim(&SPEC).await.unwrap());
    change(&store, "UPDATE jobs SET claimed_until = claimed_until + 15000000").await;
    assert!(!other.claim(&SPEC).await.unwrap(), "two nodes would run the job");
    assert!(one.finish(&SPEC, &end(JobOutcome::Succeeded, None)).await.unwrap());
    change(&store, "UPDATE jobs SET next_run_at = next_run_at + 15000000").await;
    assert!(!other.claim(&SPEC).await.unwrap(), "the job would run twice");
}

pub(crate) async fn a_store_that_is_away_gives_no_claim(world: &World) {
    let [one, _] = claims(world).await;
    one.claim(&SPEC).await.unwrap();
    let store = world.store().await;
    let node = world.node(&store).await;
    store.close().await;
    let claims = JobClaims::new(node);
    assert!(claims.claim(&SPEC).await.is_err() && claims.renew(&SPEC).await.is_err());
    assert!(claims.finish(&SPEC, &end(JobOutcome::Succeeded, None)).await.is_err());
}
