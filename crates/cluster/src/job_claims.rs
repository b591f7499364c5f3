//! Ownership of jobs in the table `jobs`: each row is one job that one node runs at a time, with its last run.
//!
//! All times in the rows are those of the database's clock, which every node reads before it writes; a SQLite file has
//! one node, which uses its own. Another node may read the clock later and write earlier, so a time in a row can be later than
//! what this transaction reads: by less than `WRITTEN_WITHIN`. A claim or a pause that ends later than any node could have
//! set is ignored: the clock was then ahead and was corrected.

use std::time::Duration;

use access::Timestamp;
use jobs::{CLAIM_TTL, ClaimEnd, FinishedRun, JobError, JobOutcome, JobSpec, Ownership, OwnershipFuture};
use store::sql::{Query, Transaction, micros, signed, statements, timestamp, unsigned};
use store::{DatabaseError, Node};
use uuid::Uuid;

use crate::handle::Cluster;
use crate::lease_server::now;

/// Maximum length of a stored error.
const ERROR_BYTES_MAX: usize = 1_000;
/// Maximum time from a transaction's reading of the clock to its write. The time limits of statements and of idle transactions
/// end a transaction in half of it.
const WRITTEN_WITHIN: Duration = Duration::from_secs(30);

statements! {
    // Another incarnation of this node has ended, unless its data folder was copied.
    CLAIM = "INSERT INTO jobs (id, name, node_id, incarnation, claimed_at, claimed_until, next_run_at, runs, failures,
            created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, $5, $5)
        ON CONFLICT (name) DO UPDATE SET node_id = excluded.node_id, incarnation = excluded.incarnation,
            claimed_at = excluded.claimed_at, claimed_until = excluded.claimed_until, updated_at = excluded.updated_at
        WHERE (jobs.claimed_until <= $5 OR jobs.claimed_until > $7
                OR (jobs.node_id = $3 AND jobs.incarnation <= $4))
            AND (jobs.next_run_at <= $5 OR jobs.next_run_at > $8)";
    RENEW = "UPDATE jobs SET claimed_until = $5, updated_at = $4
        WHERE name = $1 AND node_id = $2 AND incarnation = $3 AND claimed_until > 0";
    FINISH = "UPDATE jobs SET claimed_until = 0, next_run_at = $5, last_node_id = $2, last_started_at = claimed_at,
            last_duration_us = $6, last_outcome = $7, last_error = $8, runs = runs + 1, failures = failures + $9,
            last_success_at = CASE WHEN $9 = 0 THEN $4 ELSE last_success_at END, updated_at = $4
        WHERE name = $1 AND node_id = $2 AND incarnation = $3 AND claimed_until > 0";
    GIVE_UP = "UPDATE jobs SET claimed_until = 0, updated_at = $4
        WHERE name = $1 AND node_id = $2 AND incarnation = $3 AND claimed_until > 0";
    RECORDS = "SELECT name, node_id, claimed_at, claimed_until, next_run_at, last_node_id, last_started_at,
        last_duration_us, last_outcome, last_error, last_success_at, runs, failures FROM jobs ORDER BY name";
}

/// This node's claims on jobs.
#[derive(Debug, Clone)]
pub struct JobClaims {
    node: Node,
}

/// The stored state of a job that one node runs at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    /// The name of the job.
    pub name: String,
    /// The node that runs the job now, and the start of its run.
    pub running: Option<(Uuid, Timestamp)>,
    /// The time before which no node runs the job.
    pub next_run_at: Timestamp,
    /// The last run that ended; `None` before the first.
    pub last: Option<LastRun>,
    /// The end of the last run that succeeded.
    pub last_success_at: Option<Timestamp>,
    /// The number of runs that ended, on any node.
    pub runs: u64,
    /// The number of those that did not succeed.
    pub failures: u64,
}

/// The last run of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// The node that ran the job.
    pub node: Uuid,
    /// The start of the run.
    pub started_at: Timestamp,
    /// The duration of the run.
    pub duration: Duration,
    /// The outcome, as [`JobOutcome::as_str`] returns it.
    pub outcome: String,
    /// The error of a run that did not succeed.
    pub error: Option<String>,
}

/// A row of `jobs`.
#[derive(sqlx_macros::FromRow)]
struct Row {
    name: String,
    node_id: Uuid,
    claimed_at: i64,
    claimed_until: i64,
    next_run_at: i64,
    last_node_id: Option<Uuid>,
    last_started_at: Option<i64>,
    last_duration_us: Option<i64>,
    last_outcome: Option<String>,
    last_error: Option<String>,
    last_success_at: Option<i64>,
    runs: i64,
    failures: i64,
}

impl JobClaims {
    /// Returns the claims of `node`.
    #[must_use]
    pub const fn new(node: Node) -> Self {
        Self { node }
    }

    async fn take(&self, spec: &JobSpec) -> Result<bool, DatabaseError> {
        let store = self.node.store();
        let mut transaction = store.begin().await?;
        let now = now(store, &mut transaction).await?;
        // The latest ends of a claim and of a pause that a node may have set.
        let pause_max = spec.period.max(spec.retry.longest).max(CLAIM_TTL);
        let latest = |time: Duration| micros(now.after(time + WRITTEN_WITHIN));
        let claim = transaction.query(CLAIM).bind(store.new_id()).bind(spec.name).bind(self.node.id());
        let claim = claim.bind(signed(self.node.incarnation())).bind(micros(now)).bind(micros(now.after(CLAIM_TTL)));
        let taken = claim.bind(latest(CLAIM_TTL)).bind(latest(pause_max)).run().await?;
        transaction.commit().await?;
        Ok(taken > 0)
    }

    async fn keep(&self, spec: &JobSpec) -> Result<bool, DatabaseError> {
        let store = self.node.store();
        let mut transaction = store.begin().await?;
        let now = now(store, &mut transaction).await?;
        let renewal = self.owned(&mut transaction, RENEW, spec).bind(micros(now)).bind(micros(now.after(CLAIM_TTL)));
        let kept = renewal.run().await?;
        transaction.commit().await?;
        Ok(kept > 0)
    }

    async fn end(&self, spec: &JobSpec, end: &ClaimEnd) -> Result<bool, DatabaseError> {
        let store = self.node.store();
        let mut transaction = store.begin().await?;
        let now = now(store, &mut transaction).await?;
        let ended = match &end.run {
            Some(FinishedRun { duration, outcome, error, .. }) => {
                let finish = self.owned(&mut transaction, FINISH, spec).bind(micros(now));
                let finish = finish.bind(micros(now.after(end.pause))).bind(duration_micros(*duration));
                let finish = finish.bind(outcome.as_str()).bind(error.as_deref().map(fitting));
                finish.bind(i64::from(*outcome != JobOutcome::Succeeded)).run().await?
            }
            None => self.owned(&mut transaction, GIVE_UP, spec).bind(micros(now)).run().await?,
        };
        transaction.commit().await?;
        Ok(ended > 0)
    }

    /// Prepares a statement on the job's row as far as this node owns it.
    fn owned<'t>(&self, transaction: &'t mut Transaction, sql: &'static str, spec: &JobSpec) -> Query<'t> {
        let incarnation = signed(self.node.incarnation());
        transaction.query(sql).bind(spec.name).bind(self.node.id()).bind(incarnation)
    }
}

impl Ownership for JobClaims {
    fn claim<'a>(&'a self, spec: &'a JobSpec) -> OwnershipFuture<'a> {
        Box::pin(async move { self.take(spec).await.map_err(JobError::from) })
    }

    fn renew<'a>(&'a self, spec: &'a JobSpec) -> OwnershipFuture<'a> {
        Box::pin(async move { self.keep(spec).await.map_err(JobError::from) })
    }

    fn finish<'a>(&'a self, spec: &'a JobSpec, end: &'a ClaimEnd) -> OwnershipFuture<'a> {
        Box::pin(async move { self.end(spec, end).await.map_err(JobError::from) })
    }
}

impl Cluster {
    /// Returns the stored state of every job that one node runs at a time and that has run, by name.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn job_records(&self) -> Result<Vec<JobRecord>, DatabaseError> {
        let mut transaction = self.store.begin().await?;
        let now = now(&self.store, &mut transaction).await?;
        let rows: Vec<Row> = transaction.query(RECORDS).all().await?;
        transaction.rollback().await?;
        Ok(rows.into_iter().map(|row| row.record(now)).collect())
    }
}

impl Row {
    fn record(self, now: Timestamp) -> JobRecord {
        let last = match (self.last_node_id, self.last_started_at, self.last_outcome) {
            (Some(node), Some(started_at), Some(outcome)) => Some(LastRun {
                node,
                started_at: timestamp(started_at),
                duration: Duration::from_micros(unsigned(self.last_duration_us.unwrap_or(0))),
                outcome,
                error: self.last_error,
            }),
            _ => None,
        };
        let is_running = self.claimed_until > micros(now);
        JobRecord {
            name: self.name,
            running: is_running.then(|| (self.node_id, timestamp(self.claimed_at))),
            next_run_at: timestamp(self.next_run_at),
            last,
            last_success_at: self.last_success_at.map(timestamp),
            runs: unsigned(self.runs),
            failures: unsigned(self.failures),
        }
    }
}

fn duration_micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Returns the text as PostgreSQL stores it, without its end if it is too long: no text contains a zero byte there.
fn fitting(error: &str) -> String {
    error.get(..error.floor_char_boundary(ERROR_BYTES_MAX)).unwrap_or_default().replace('\0', "")
}
