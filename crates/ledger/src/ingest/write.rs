//! One transaction of ingest: the rows of a batch, its totals, and the position in the spool.

use std::collections::HashSet;
use std::time::Duration;

use access::{KeyNo, LabelSet, NanoUsd, Subject, Timestamp};
use meter::{Attempt, Charge, Counts, RequestOrigin, UnknownCost, Usage, UsageEvent};
use rustc_hash::FxHashMap;
use spool::{OpenRequest, Position, Record};
use sqlx::AssertSqlSafe;
use store::nodes::backlog::BacklogBatch;

use store::sql::{BulkTransaction, StoreKind, Values, micros, signed};
use store::{CopiedFolder, DatabaseError, Node, NodeError, Store};
use thiserror::Error;
use uuid::Uuid;

use crate::ingest::aggregation::{
    self, AttemptNumbers, CallerDay, CallerTotals, CountedEvent, LabelDay, Minute, MinuteCounts, ModelDay, ModelTotals,
    PlanDay, ResultCounts, RouteDay, SeriesHour, SeriesTotals, SubjectDay,
};
use crate::ingest::names::{BatchNames, NameKind, Names, UnknownNames};
use crate::ingest::positions::positions_of;
use crate::ingest::raw_usage;
use crate::ingest::tables::{
    ATTEMPTS, DAY_VERSIONS, DAYS, EVENTS, HOURS, LABELS, MINUTES, MODELS, PLANS, POSITIONS, RAW, ROUTES, SUBJECTS,
    bind_charge,
};
use crate::ingest::{KnownRows, PLACES, windows};
use crate::stored_text::clip;
use crate::usage_columns;
use crate::usage_totals::UsageTotals;

/// A list of ids follows.
pub(crate) const PRESENT: &str = "SELECT id FROM usage_events WHERE id IN ";
/// Maximum number of ids in one query.
const PRESENT_MAX: usize = 500;

/// The error of a transaction of ingest.
#[derive(Debug, Error)]
pub enum WriteError {
    /// Another node uses the id of this one.
    #[error(transparent)]
    CopiedFolder(#[from] CopiedFolder),
    /// Another process wrote the same rows at the same time; nothing was written.
    #[error("two processes write to {table} at the same time")]
    Contended {
        /// Name of the table.
        table: &'static str,
    },
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<NodeError> for WriteError {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::CopiedFolder(error) => error.into(),
            NodeError::Database(error) => error.into(),
        }
    }
}

/// Records of the spool that one transaction writes.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) records: Vec<Record>,
    /// The position after each record.
    pub(crate) places: Vec<Position>,
    /// Positions at which the spool continues after these records.
    pub(crate) read: Vec<Position>,
    /// Requests that are still open, and whose segments are released with these records.
    pub(crate) carried: Vec<OpenRequest>,
    /// The requests that the records close, also those that the store already has.
    pub(crate) closed: Vec<Uuid>,
}

/// Events and counts of the records.
struct SplitRecords<'a> {
    events: Vec<&'a UsageEvent>,
    counts: Vec<&'a Counts>,
}

/// Events and counts of the records, with the sums of the events' attempts.
struct CountedRecords<'a> {
    events: Vec<CountedEvent<'a>>,
    counts: Vec<&'a Counts>,
}

enum WriteOutcome {
    /// Stored; `took` is the time from the transaction's begin to its commit.
    Written { took: Duration },
    /// The store already contained some events; nothing was written.
    Duplicates,
}

impl Rows {
    /// Writes all rows or none, except rows that the store already has: records before the partition's ingested
    /// position, and events by their id. The charges in `leaving` leave the backlog at the moment of the commit.
    /// Returns the maximum time for which other tasks waited.
    pub(crate) async fn write(
        &mut self,
        node: &Node,
        known: &mut KnownRows,
        leaving: Option<&BacklogBatch<'_>>,
    ) -> Result<Duration, WriteError> {
        if self.closed.is_empty() {
            self.closed = self.records.iter().filter_map(Record::closes).collect();
        }
        let mut written = self.write_once(node, &mut *known, leaving).await;
        if matches!(written, Ok(WriteOutcome::Duplicates)) {
            // Positions are committed with the rows, so this requires a spool that does not belong to the database, or
            // an event that was spooled twice.
            self.drop_present(node.store()).await?;
            written = self.write_once(node, known, leaving).await;
        }
        match written {
            Ok(WriteOutcome::Written { took }) => Ok(took),
            Ok(WriteOutcome::Duplicates) => Err(WriteError::Contended { table: "usage_events" }),
            Err(error) => Err(error),
        }
    }

    async fn write_once(
        &mut self,
        node: &Node,
        known: &mut KnownRows,
        leaving: Option<&BacklogBatch<'_>>,
    ) -> Result<WriteOutcome, WriteError> {
        let outcome = self.try_write(node, &mut *known, leaving).await;
        if !matches!(outcome, Ok(WriteOutcome::Written { .. })) {
            known.names.forget();
            known.carried.forget();
        }
        outcome
    }

    async fn try_write(
        &mut self,
        node: &Node,
        known: &mut KnownRows,
        leaving: Option<&BacklogBatch<'_>>,
    ) -> Result<WriteOutcome, WriteError> {
        let store = node.store();
        let KnownRows { names, carried } = known;
        let mut transaction = store.begin_bulk().await?;
        let began = store.clock().mono();
        node.hold(&mut transaction).await?;
        let ingested = positions_of(transaction.query(PLACES).bind(node.id()).all().await?);
        self.drop_ingested(&ingested);
        let split = self.split();
        names.forget_if_full();
        let (mut events, unknown) = split.count(names);
        if !unknown.is_empty() {
            names.learn(store, &mut transaction, unknown).await?;
            (events, _) = split.count(names);
        }
        let split = CountedRecords { events, counts: split.counts };
        let now = store.now();
        let inserted = EVENTS.bulk(&mut transaction, now, &split.events, bind_event).await?;
        if inserted != u64::try_from(split.events.len()).unwrap_or(u64::MAX) {
            transaction.rollback().await?;
            return Ok(WriteOutcome::Duplicates);
        }
        split.write_attempts(store, &mut transaction, names).await?;
        split.write_raw(store, &mut transaction).await?;
        split.write_charges(node, &mut transaction).await?;
        split.write_totals(store, &mut transaction).await?;
        split.write_series(store, &mut transaction, names).await?;
        split.write_minutes(store, &mut transaction, names).await?;
        split.write_versions(store, &mut transaction).await?;
        POSITIONS
            .bulk(&mut transaction, now, &self.read, |read, row| bind_position(*read, store.new_id(), node, row))
            .await?;
        carried.write(self, node, &mut transaction).await?;
        let written = store.clock().mono();
        let held = match leaving {
            Some(leaving) => Some(leaving.hold(&self.read).await),
            None => None,
        };
        let waited = store.clock().mono().since(written);
        let committed = transaction.commit().await;
        match (held, &committed) {
            (Some(held), Ok(())) => held.stored(),
            // SQLite reports reliably that a commit failed. PostgreSQL may have committed although its response was
            // lost.
            (Some(held), Err(_)) if !store.is_shared() => held.refused(),
            (Some(in_doubt), Err(_)) => drop(in_doubt),
            (None, _) => {}
        }
        committed?;
        Ok(WriteOutcome::Written { took: store.clock().mono().since(began).saturating_sub(waited) })
    }

    fn split(&self) -> SplitRecords<'_> {
        let mut split = SplitRecords { events: Vec::with_capacity(self.records.len()), counts: Vec::new() };
        for record in &self.records {
            match record {
                Record::Close(event) | Record::Event(event) => split.events.push(event),
                Record::Open(_) => {}
                Record::Counts { counts, .. } | Record::CloseBatch { counts, .. } => split.counts.extend(counts),
            }
        }
        // Rows in the order of their primary key are appended to its tree. Partitions are sorted runs.
        split.events.sort_by_key(|event| event.id.0.as_u128());
        split
    }

    /// Returns the keys that were used, each with the newest time. For counts per minute, the time is the end of the minute,
    /// at most `now`.
    pub(crate) fn uses(&self, now: Timestamp) -> FxHashMap<KeyNo, Timestamp> {
        let mut uses: FxHashMap<KeyNo, Timestamp> = FxHashMap::default();
        let mut note = |subject: &Subject, at: Timestamp| {
            if let Some(caller) = subject.caller() {
                let newest = uses.entry(caller.key).or_insert(at);
                *newest = at.max(*newest);
            }
        };
        for record in &self.records {
            match record {
                Record::Close(event) | Record::Event(event) => note(&event.subject, event.started_at),
                Record::Open(_) => {}
                Record::Counts { counts, .. } | Record::CloseBatch { counts, .. } => {
                    counts.iter().for_each(|of| note(&of.subject, aggregation::end_of(of.minute).min(now)));
                }
            }
        }
        uses
    }

    /// Drops the records that were written before, because a commit may have been reported as failed.
    fn drop_ingested(&mut self, ingested: &[Position]) {
        let is_ingested =
            |place: &Position| ingested.iter().any(|until| until.partition == place.partition && place <= until);
        if self.places.iter().any(is_ingested) {
            self.retain(|place, _| !is_ingested(place));
        }
    }

    fn retain(&mut self, mut is_kept: impl FnMut(&Position, &Record) -> bool) {
        assert_eq!(self.places.len(), self.records.len());
        let all = std::mem::take(&mut self.places).into_iter().zip(std::mem::take(&mut self.records));
        (self.places, self.records) = all.filter(|(place, record)| is_kept(place, record)).unzip();
    }

    /// Drops the events that the store already has, and repeated events except the first.
    async fn drop_present(&mut self, store: &Store) -> Result<(), DatabaseError> {
        let events = self.split().events;
        let mut seen: HashSet<Uuid> = HashSet::with_capacity(events.len());
        for events in events.chunks(PRESENT_MAX) {
            let mut query = store.query(AssertSqlSafe(present(store.kind(), events.len()))).once();
            for event in events {
                query = query.bind(event.id.0);
            }
            let present: Vec<(Uuid,)> = query.all().await?;
            seen.extend(present.into_iter().map(|(id,)| id));
        }
        self.retain(|_, record| match record {
            Record::Close(event) | Record::Event(event) => seen.insert(event.id.0),
            Record::Open(_) | Record::Counts { .. } | Record::CloseBatch { .. } => true,
        });
        Ok(())
    }
}

impl<'a> SplitRecords<'a> {
    /// Adds up the attempts of each event. Also returns the names and subjects without a cached number.
    fn count(&self, names: &Names) -> (Vec<CountedEvent<'a>>, UnknownNames<'a>) {
        let mut names = BatchNames::new(names);
        let events = self.events.iter().map(|event| CountedEvent::new(event, &mut names)).collect();
        for counts in &self.counts {
            names.get(NameKind::Route, &counts.route);
            names.subject(&counts.subject);
            names.labels(&counts.labels);
        }
        (events, names.unknown())
    }
}

impl CountedRecords<'_> {
    async fn write_attempts(
        &self,
        store: &Store,
        transaction: &mut BulkTransaction,
        names: &Names,
    ) -> Result<(), DatabaseError> {
        let several = self.events.iter().map(|counted| counted.event).filter(|event| event.attempts.len() > 1);
        let attempts: Vec<(Uuid, i64, &Attempt)> = several
            .flat_map(|event| (1..).zip(&event.attempts).map(|(no, attempt)| (event.id.0, no, attempt)))
            .collect();
        let now = store.now();
        let mut names = BatchNames::new(names);
        ATTEMPTS
            .bulk(transaction, now, &attempts, |(event, no, attempt), row| {
                row.put(store.new_id()).put(*event).put(*no);
                bind_attempt(Some(attempt), &AttemptNumbers::new(attempt, &mut names), row);
                bind_figures(attempt.usage, attempt.cost, attempt.unknown, row);
                row.put(attempt.own_credential.then(|| attempt.cost.unwrap_or_default().0));
            })
            .await?;
        Ok(())
    }

    /// Writes the raw usage that providers reported.
    async fn write_raw(&self, store: &Store, transaction: &mut BulkTransaction) -> Result<(), DatabaseError> {
        let rows = raw_usage::rows(&self.events);
        RAW.bulk(transaction, store.now(), &rows, |of, row| {
            row.put(of.id).put(of.raw.as_str());
        })
        .await?;
        Ok(())
    }

    /// Writes the usage of each key per day, and the charges for budgets.
    async fn write_charges(&self, node: &Node, transaction: &mut BulkTransaction) -> Result<(), DatabaseError> {
        let store = node.store();
        let now = store.now();
        let days = aggregation::days(&self.events, &self.counts);
        let bind_day = |(at, of): &(CallerDay, CallerTotals), row: &mut Values<'_>| {
            row.put(store.new_id()).put(at.day).put(at.user).put(at.key).put(node.id());
            row.put(signed(of.charge.tokens.0)).put(of.charge.money.0).put(signed(of.totals.requests));
            bind_totals(&of.totals, row);
            row.put(of.own_cost.0);
        };
        DAYS.bulk(transaction, now, &days, bind_day).await?;
        let plans = aggregation::plans(&self.events, &self.counts);
        let bind_plan = |(at, charge): &(PlanDay, Charge), row: &mut Values<'_>| {
            row.put(store.new_id()).put(at.day).put(at.plan.0).put(node.id());
            bind_charge(charge, row);
            row.put(charge.own_money().0);
        };
        PLANS.bulk(transaction, now, &plans, bind_plan).await?;
        let subjects = aggregation::subjects(&self.events, &self.counts);
        let bind_subject = |(at, charge): &(SubjectDay, Charge), row: &mut Values<'_>| {
            row.put(store.new_id()).put(at.subject.0).put(at.day).put(node.id());
            bind_charge(charge, row);
        };
        SUBJECTS.bulk(transaction, now, &subjects, bind_subject).await?;
        windows::write(&self.events, node, transaction).await?;
        Ok(())
    }

    async fn write_totals(&self, store: &Store, transaction: &mut BulkTransaction) -> Result<(), DatabaseError> {
        let now = store.now();
        let models = aggregation::models(&self.events);
        let bind_model = |(at, of): &(ModelDay, ModelTotals), row: &mut Values<'_>| {
            row.put(store.new_id()).put(at.user).put(at.day).put(at.model);
            row.put(signed(of.totals.requests));
            bind_results(of.results, row);
            bind_totals(&of.totals, row);
            row.put(signed(of.duration_us)).put(of.own_cost.0);
        };
        MODELS.bulk(transaction, now, &models, bind_model).await?;
        Ok(())
    }

    /// Writes the totals that time series read.
    async fn write_series(
        &self,
        store: &Store,
        transaction: &mut BulkTransaction,
        names: &Names,
    ) -> Result<(), DatabaseError> {
        let now = store.now();
        let hours = aggregation::hours(&self.events, &self.counts, |route| names.get(NameKind::Route, route));
        let routes = aggregation::routes(&hours);
        let bind_hour = |(at, of): &(SeriesHour, SeriesTotals), row: &mut Values<'_>| {
            row.put(store.new_id()).put(at.user).put(at.hour).put(at.key).put(at.model).put(at.route).put(at.day);
            row.put(at.result);
            bind_series(of, row);
        };
        HOURS.bulk(transaction, now, &hours, bind_hour).await?;
        let bind_route = |(at, of): &(RouteDay, SeriesTotals), row: &mut Values<'_>| {
            row.put(store.new_id()).put(at.user).put(at.day).put(at.route);
            bind_series(of, row);
        };
        ROUTES.bulk(transaction, now, &routes, bind_route).await?;
        let labels = aggregation::labels(&self.events, &self.counts, |labels| names.labels(labels));
        let bind_label = |(at, of): &(LabelDay, SeriesTotals), row: &mut Values<'_>| {
            row.put(store.new_id()).put(at.day).put(at.labels).put(at.user).put(at.model);
            bind_series(of, row);
            row.put(of.own_cost.0);
        };
        LABELS.bulk(transaction, now, &labels, bind_label).await?;
        Ok(())
    }

    /// Raises the version of each day before today that the batch changes.
    async fn write_versions(&self, store: &Store, transaction: &mut BulkTransaction) -> Result<(), DatabaseError> {
        let today = store.clock().now().day();
        let days = aggregation::days_before(&self.events, &self.counts, today);
        DAY_VERSIONS
            .bulk(transaction, store.now(), &days, |day, row| {
                row.put(store.new_id()).put(*day).put(1_i64);
            })
            .await?;
        Ok(())
    }

    async fn write_minutes(
        &self,
        store: &Store,
        transaction: &mut BulkTransaction,
        names: &Names,
    ) -> Result<(), DatabaseError> {
        let now = store.now();
        let route_no = |route: &str| names.get(NameKind::Route, route);
        let subject_no = |subject: &Subject| names.subject(subject);
        let labels_no = |labels: &LabelSet| names.labels(labels);
        let minutes = aggregation::minutes(&self.counts, route_no, subject_no, labels_no);
        let bind_minute = |(at, counted): &(Minute, MinuteCounts), row: &mut Values<'_>| {
            row.put(store.new_id()).put(counted.user).put(at.key).put(at.subject).put(at.route);
            row.put(at.status_class).put(at.minute).put(at.day).put(at.labels);
            row.put(signed(counted.requests)).put(signed(counted.credits.0));
        };
        MINUTES.bulk(transaction, now, &minutes, bind_minute).await?;
        Ok(())
    }
}

/// Builds the query for the events that the store has, for a number of events.
fn present(kind: StoreKind, events: usize) -> String {
    let mut text = PRESENT.to_owned();
    kind.placeholders(events, &mut text);
    text
}

fn bind_event<'r>(counted: &'r CountedEvent<'_>, row: &mut Values<'r>) {
    let event = counted.event;
    row.put(event.id.0);
    let caller = event.subject.caller();
    row.put(caller.map(|caller| caller.user.0)).put(caller.map(|caller| caller.key.0));
    row.put(caller.map(|caller| caller.plan.0)).put(counted.subject);
    row.put(micros(event.started_at)).put(i64::from(event.day.0));
    bind_charge(&event.charge, row);
    row.put(counted.route);
    row.put(event.format.as_deref()).put(counted.model);
    row.put(event.streamed).put(i64::from(event.status)).put(event.outcome.as_str());
    row.put(event.refusal.as_deref().map(clip));
    row.put(signed(event.request_bytes)).put(signed(event.response_bytes)).put(signed(event.duration_us));
    row.put(i64::try_from(event.attempts.len()).unwrap_or(i64::MAX));
    bind_attempt(event.attempts.last(), &counted.last_attempt, row);
    let unknown = event.attempts.iter().find_map(|attempt| attempt.unknown);
    bind_figures(counted.usage, counted.cost, unknown, row);
    let RequestOrigin { client, tools, session, cache, trace, .. } = &event.origin;
    row.put(counted.labels).put(i64::from(client.number())).put(i64::from(tools.number()));
    row.put(session.map(|session| Uuid::from_bytes(session.0))).put(i64::from(cache.number()));
    row.put(trace.map(|trace| Uuid::from_bytes(trace.0))).put(counted.skipped.as_deref());
    let own_charged = Some(event.charge.own_money().0).filter(|own| *own != NanoUsd::ZERO.0);
    row.put(counted.own_cost.map(|cost| cost.0)).put(own_charged).put(counted.refused_limit.as_deref());
    row.put(counted.windows.as_deref());
}

/// Adds the columns from `credits` to `unpriced_requests`.
fn bind_totals(totals: &UsageTotals, row: &mut Values<'_>) {
    row.put(signed(totals.credits.0)).put(signed(totals.input));
    row.put(signed(totals.cached_input)).put(signed(totals.cache_write_short));
    row.put(signed(totals.cache_write_long)).put(signed(totals.output)).put(signed(totals.reasoning));
    row.put(totals.cost.0).put(signed(totals.unpriced_requests));
}

/// Adds the columns from `succeeded` to `errors`.
fn bind_results(of: ResultCounts, row: &mut Values<'_>) {
    row.put(signed(of.succeeded)).put(signed(of.refused)).put(signed(of.errors));
}

/// Adds the columns from `requests` to `duration_us`.
fn bind_series(of: &SeriesTotals, row: &mut Values<'_>) {
    row.put(signed(of.totals.requests));
    bind_results(of.results, row);
    bind_totals(&of.totals, row);
    row.put(signed(of.timed)).put(signed(of.duration_us));
}

/// Adds the columns from `provider_no` to `upstream_us`.
fn bind_attempt<'r>(attempt: Option<&'r Attempt>, numbers: &AttemptNumbers, row: &mut Values<'r>) {
    row.put(numbers.provider).put(numbers.model).put(numbers.answered_model);
    row.put(attempt.and_then(|attempt| attempt.status).map(i64::from));
    row.put(attempt.and_then(|attempt| attempt.upstream_id.as_deref()).map(clip));
    row.put(numbers.price);
    row.put(attempt.and_then(|attempt| attempt.first_byte_us).map(signed));
    row.put(attempt.map(|attempt| signed(attempt.duration_us)));
}

/// Adds the columns from `usage_source` to `cost_unknown`.
fn bind_figures(usage: Option<Usage>, cost: Option<NanoUsd>, unknown: Option<UnknownCost>, row: &mut Values<'_>) {
    usage_columns::bind(usage.as_ref(), row);
    row.put(cost.map(|cost| cost.0)).put(unknown.map(UnknownCost::as_str));
}

fn bind_position(read: Position, id: Uuid, node: &Node, row: &mut Values<'_>) {
    row.put(id).put(node.id()).put(i64::from(read.partition)).put(i64::from(read.segment)).put(i64::from(read.offset));
}

/// Returns the text of [`present`].
#[cfg(test)]
pub(crate) fn texts(kind: StoreKind) -> Vec<String> {
    vec![present(kind, PRESENT_MAX)]
}
