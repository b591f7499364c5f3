//! Charges of the records that earlier runs left in the spool, while ingest stores them and the ports are open. Budgets
//! were charged for these records too.
//!
//! Charges move from the backlog into the store's totals one batch at a time. A reader that adds up both holds the
//! backlog's lock, so no batch moves meanwhile.

use std::sync::{Mutex, OnceLock, PoisonError};

use access::{BudgetScope, Day, Minute, Subject, SubjectId};
use meter::{Caller, Charge, LimitPeriod, Period, UsageEvent};
use rustc_hash::FxHashMap;
use spool::{Position, Record};
use thiserror::Error;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::error::DatabaseError;

/// The error of a reader that adds up the store's charges and the backlog.
#[derive(Debug, Error)]
pub enum BacklogError {
    /// It is unknown whether the database committed a batch of usage that earlier runs spooled; the next batch finds
    /// out.
    #[error("it is unknown whether the last batch of usage was stored")]
    InDoubt,
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Charges by scope and period; bounded by the keys and subjects whose records wait.
type ScopeCharges = FxHashMap<(BudgetScope, Period), Charge>;

/// Charges of records, collected while a spool opens.
#[derive(Debug, Default)]
pub struct GatheredCharges(Mutex<ScopeCharges>);

/// Charges of records that wait for the store. Empty if an earlier run left no records.
#[derive(Debug, Default)]
pub struct Backlog {
    /// Position in each partition at which the backlog ends.
    ends: OnceLock<Places>,
    rest: RwLock<BacklogRest>,
}

#[derive(Debug, Default)]
struct BacklogRest {
    charges: ScopeCharges,
    /// Position up to which charges have left. Records that are read again, because the spool was not released, do not
    /// leave again.
    left: Places,
    /// Position up to which it is unknown what the store contains, until a stored batch reaches it.
    in_doubt: Places,
}

/// At most one position per partition.
#[derive(Debug, Clone, Default)]
struct Places(Vec<Position>);

/// Read access to a backlog; it delays the next batch.
#[derive(Debug)]
pub struct BacklogReader<'a>(RwLockReadGuard<'a, BacklogRest>);

/// The charges that leave the backlog with a batch.
#[derive(Debug)]
pub struct BacklogBatch<'a> {
    backlog: &'a Backlog,
    with: ScopeCharges,
}

/// A batch that is being committed; readers wait. If it is dropped, the outcome of the batch is unknown.
#[derive(Debug)]
pub struct BacklogCommit<'a> {
    rest: RwLockWriteGuard<'a, BacklogRest>,
    with: &'a ScopeCharges,
    /// Position in each partition at which the batch ends.
    ends: &'a [Position],
    /// Positions whose outcome was unknown before.
    before: Places,
}

impl Places {
    /// Whether `place` is at or before the position of its partition.
    fn reach(&self, place: Position) -> bool {
        self.0.iter().any(|end| end.partition == place.partition && place <= *end)
    }

    fn extend(&mut self, ends: &[Position]) {
        for end in ends {
            match self.0.iter_mut().find(|place| place.partition == end.partition) {
                Some(place) => *place = (*place).max(*end),
                None => self.0.push(*end),
            }
        }
    }
}

impl GatheredCharges {
    /// Adds the charges of `record`; for [`spool::SpoolOpener::visit`].
    pub fn note(&self, record: &Record) {
        add(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), record);
    }
}

impl Backlog {
    /// Sets the backlog to the charges in `gathered`, which end where the partitions end. Called once, before the first
    /// reader.
    pub async fn begin(&self, gathered: GatheredCharges, ends: Vec<Position>) {
        self.rest.write().await.charges = gathered.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        // A second call would add charges that never leave.
        let _ = self.ends.set(Places(ends));
    }

    /// Returns the charges that wait now.
    ///
    /// # Errors
    /// [`BacklogError::InDoubt`] after a batch whose outcome is unknown, until its records are known to be stored.
    pub async fn waiting(&self) -> Result<BacklogReader<'_>, BacklogError> {
        let rest = self.rest.read().await;
        if rest.in_doubt.0.is_empty() { Ok(BacklogReader(rest)) } else { Err(BacklogError::InDoubt) }
    }

    /// Returns the charges of `records` that belong to the backlog; `None` if no charge does, and no outcome is
    /// unknown. Each record has the position after it.
    pub async fn leaving<'r>(
        &self,
        records: impl IntoIterator<Item = (&'r Position, &'r Record)>,
    ) -> Option<BacklogBatch<'_>> {
        let ends = self.ends.get()?;
        let rest = self.rest.read().await;
        let mut with = ScopeCharges::default();
        let waits = |place: Position| ends.reach(place) && !rest.left.reach(place);
        for (_, record) in records.into_iter().filter(|(place, _)| waits(**place)) {
            add(&mut with, record);
        }
        let concerns = !with.is_empty() || !rest.in_doubt.0.is_empty();
        concerns.then_some(BacklogBatch { backlog: self, with })
    }
}

impl BacklogReader<'_> {
    /// Returns the charge of a scope in a period.
    #[must_use]
    pub fn charge_of(&self, scope: BudgetScope, period: Period) -> Charge {
        self.0.charges.get(&(scope, period)).copied().unwrap_or_default()
    }

    /// Returns the newest window of a scope that has not ended at `at`.
    #[must_use]
    pub fn open_window(&self, scope: BudgetScope, per: LimitPeriod, at: Minute) -> Option<Period> {
        let windows = self.0.charges.keys().filter(|(other, _)| *other == scope).map(|(_, period)| *period);
        windows.filter(|period| period.per() == per && period.end_minute() > at).max()
    }

    /// Returns the charges of all scopes in a period.
    pub fn charges(&self, period: Period) -> impl Iterator<Item = (BudgetScope, Charge)> {
        self.0.charges.iter().filter(move |((_, of), _)| *of == period).map(|((scope, _), charge)| (*scope, *charge))
    }
}

impl BacklogBatch<'_> {
    /// Locks the backlog immediately before the commit of a batch that ends at `ends`; readers wait until the commit is
    /// done.
    pub async fn hold<'a>(&'a self, ends: &'a [Position]) -> BacklogCommit<'a> {
        let mut rest = self.backlog.rest.write().await;
        let before = rest.in_doubt.clone();
        rest.in_doubt.extend(ends);
        BacklogCommit { rest, with: &self.with, ends, before }
    }
}

impl BacklogCommit<'_> {
    /// Removes the charges of the batch, which is now in the store.
    pub fn stored(mut self) {
        let BacklogRest { charges, left, in_doubt } = &mut *self.rest;
        left.extend(self.ends);
        in_doubt.0.retain(|place| !left.reach(*place));
        for (of, charge) in self.with {
            if let Some(rest) = charges.get_mut(of) {
                *rest = rest.less(charge);
                if *rest == Charge::default() {
                    charges.remove(of);
                }
            }
        }
        if charges.is_empty() {
            // This also frees the map's memory.
            *charges = ScopeCharges::default();
        }
    }

    /// Keeps the charges, because the batch was not stored.
    pub fn refused(mut self) {
        self.rest.in_doubt = std::mem::take(&mut self.before);
    }
}

/// Adds the charges of a record in the way in which the store's totals count them.
fn add(charges: &mut ScopeCharges, record: &Record) {
    match record {
        Record::Close(event) | Record::Event(event) if event.counts() => {
            charge(charges, &event.subject, event.day, &event.charge);
            charge_windows(charges, event);
        }
        Record::Counts { counts, .. } | Record::CloseBatch { counts, .. } => {
            for of in counts {
                charge(charges, &of.subject, of.day, &Charge::credits(of.credits));
            }
        }
        Record::Open(_) | Record::Close(_) | Record::Event(_) => {}
    }
}

fn charge(charges: &mut ScopeCharges, subject: &Subject, day: Day, more: &Charge) {
    if *more == Charge::default() {
        return;
    }
    let mut add = |scope| {
        for per in LimitPeriod::UTC {
            let of = charges.entry((scope, Period::containing(per, day))).or_default();
            *of = of.and(more);
        }
    };
    match subject.caller() {
        Some(Caller { user, key, plan }) => {
            let scopes = [BudgetScope::Key(key), BudgetScope::User(user), BudgetScope::Plan(plan), BudgetScope::Global];
            scopes.into_iter().for_each(add);
        }
        None => SubjectId::from_subject(subject).map(BudgetScope::Subject).into_iter().for_each(&mut add),
    }
}

fn charge_windows(charges: &mut ScopeCharges, event: &UsageEvent) {
    let owner = match event.subject.caller() {
        Some(Caller { user, .. }) => Some(BudgetScope::User(user)),
        None => SubjectId::from_subject(&event.subject).map(BudgetScope::Subject),
    };
    let Some(owner) = owner else { return };
    for window in &event.windows {
        let sum = charges.entry((owner, *window)).or_default();
        *sum = sum.and(&event.charge);
    }
}

#[cfg(test)]
mod tests {
    use access::Credits;
    use meter::Counts;
    use uuid::Uuid;

    use super::*;

    const DAY: Day = Day(20_000);

    fn counted(user: i64, credits: u64) -> Record {
        let caller = Caller { user: access::UserNo(user), key: access::KeyNo(user * 10), plan: access::PlanId::NIL };
        let counts = Counts {
            subject: Subject::Key(caller),
            route: "users".into(),
            status_class: 2,
            minute: 1,
            day: DAY,
            requests: 1,
            credits: Credits::whole(credits),
            labels: access::LabelSet::NONE,
        };
        Record::Counts { id: Uuid::nil(), counts: vec![counts] }
    }

    /// Returns records with the positions after them.
    fn with_places(records: &[(Position, Record)]) -> impl Iterator<Item = (&Position, &Record)> {
        records.iter().map(|(place, record)| (place, record))
    }

    fn position_at(offset: u32) -> Position {
        Position { partition: 0, segment: 0, offset }
    }

    #[tokio::test]
    async fn what_waits_leaves_with_what_is_stored_and_what_came_later_does_not_count() {
        let gathered = GatheredCharges::default();
        let records = [(position_at(10), counted(1, 3)), (position_at(20), counted(2, 4))];
        records.iter().for_each(|(_, record)| gathered.note(record));
        let backlog = Backlog::default();
        backlog.begin(gathered, vec![position_at(20)]).await;
        let [day, month] = [LimitPeriod::Day, LimitPeriod::Month].map(|per| Period::containing(per, DAY));
        let credits = async |scope, period| backlog.waiting().await.unwrap().charge_of(scope, period).credits;
        let one = BudgetScope::User(access::UserNo(1));
        let two = BudgetScope::Key(access::KeyNo(20));
        assert_eq!(
            (credits(one, day).await, credits(two, month).await, credits(BudgetScope::Global, day).await),
            (Credits::whole(3), Credits::whole(4), Credits::whole(7))
        );

        assert!(backlog.leaving(with_places(&[(position_at(30), counted(1, 5))])).await.is_none());
        // Charges that were not stored stay.
        backlog.leaving(with_places(&records)).await.unwrap().hold(&[position_at(20)]).await.refused();
        assert_eq!(credits(BudgetScope::Global, month).await, Credits::whole(7));
        let leaving = async |records, end| {
            backlog.leaving(with_places(records)).await.unwrap().hold(&[position_at(end)]).await.stored();
        };
        leaving(&records[..1], 10).await;
        // The spool was not released, so the record is read again, alone and with more.
        assert!(backlog.leaving(with_places(&records[..1])).await.is_none());
        assert_eq!(
            (credits(one, day).await, credits(two, month).await, credits(BudgetScope::Global, day).await),
            (Credits::whole(0), Credits::whole(4), Credits::whole(4))
        );
        leaving(&records, 20).await;
        let waiting = backlog.waiting().await.unwrap();
        assert_eq!(waiting.charges(day).count() + waiting.charges(month).count(), 0);
    }

    #[tokio::test]
    async fn charges_of_a_subject_without_a_user_wait_for_it_alone() {
        let Record::Counts { id, counts } = counted(1, 3) else { unreachable!() };
        let subject = Subject::Basic {
            issuer: access::SubjectText::parse("ops").unwrap(),
            name: access::SubjectText::parse("ada").unwrap(),
        };
        let counts = counts.into_iter().map(|counts| Counts { subject: subject.clone(), ..counts }).collect();
        let gathered = GatheredCharges::default();
        let backlog = Backlog::default();
        let record = Record::Counts { id, counts };
        gathered.note(&record);
        backlog.begin(gathered, vec![position_at(10)]).await;
        let scope = BudgetScope::Subject(SubjectId::from_subject(&subject).unwrap());
        let periods = [LimitPeriod::Day, LimitPeriod::Month].map(|per| Period::containing(per, DAY));
        for period in periods {
            let waiting = backlog.waiting().await.unwrap();
            assert_eq!(waiting.charges(period).collect::<Vec<_>>(), [(scope, Charge::credits(Credits::whole(3)))]);
        }
        backlog
            .leaving(with_places(&[(position_at(10), record)]))
            .await
            .unwrap()
            .hold(&[position_at(10)])
            .await
            .stored();
        assert_eq!(backlog.waiting().await.unwrap().charge_of(scope, periods[1]), Charge::default());
    }

    #[tokio::test]
    async fn after_a_batch_that_was_not_answered_nobody_is_told_what_waits_until_all_of_it_is_known_to_be_stored() {
        let gathered = GatheredCharges::default();
        let backlog = Backlog::default();
        let records = [counted(1, 3), counted(2, 4)];
        let in_lane = |lane, offset| Position { partition: lane, ..position_at(offset) };
        records.iter().for_each(|record| gathered.note(record));
        backlog.begin(gathered, vec![in_lane(0, 10), in_lane(1, 10)]).await;
        let of = |lane: u32| [(in_lane(lane, 10), counted(i64::from(lane) + 1, 3 + u64::from(lane)))];
        let both = [of(0), of(1)].concat();
        drop(backlog.leaving(with_places(&both)).await.unwrap().hold(&[in_lane(0, 10), in_lane(1, 10)]).await);
        assert!(matches!(backlog.waiting().await, Err(BacklogError::InDoubt)));
        // Records that arrive meanwhile make the next batch end earlier in a partition.
        backlog.leaving(with_places(&of(0))).await.unwrap().hold(&[in_lane(0, 90)]).await.stored();
        assert!(matches!(backlog.waiting().await, Err(BacklogError::InDoubt)));
        drop(backlog.leaving(with_places(&of(1))).await.unwrap().hold(&[in_lane(1, 10)]).await);
        backlog.leaving(with_places(&of(1))).await.unwrap().hold(&[in_lane(1, 10)]).await.stored();
        let month = Period::containing(LimitPeriod::Month, DAY);
        assert_eq!(backlog.waiting().await.unwrap().charge_of(BudgetScope::Global, month), Charge::default());
        // A batch without charges also resolves an unknown outcome.
        let free = [(in_lane(0, 99), counted(1, 0))];
        backlog.rest.write().await.in_doubt.extend(&[in_lane(0, 95)]);
        backlog.leaving(with_places(&free)).await.unwrap().hold(&[in_lane(0, 99)]).await.stored();
        assert!(backlog.waiting().await.is_ok() && backlog.leaving(with_places(&free)).await.is_none());
    }
}
