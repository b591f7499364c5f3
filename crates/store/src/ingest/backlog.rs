//! What earlier runs left in the spool, while it is brought into the store behind open ports: budgets were charged for it too.
//!
//! Charges move from here into the store's totals, a batch at a time. Who adds up both looks while no batch is between them.

use std::sync::{Mutex, OnceLock, PoisonError};

use access::{Day, Subject};
use meter::budget::Period;
use meter::{Caller, Charge, Per};
use rustc_hash::FxHashMap;
use spool::{Position, Record};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::error::StoreError;

/// By subject and period: bounded by the callers whose records wait.
type Charges = FxHashMap<(Subject, Period), Charge>;

/// Charges of records, gathered while a spool opens.
#[derive(Debug, Default)]
pub struct Gathered(Mutex<Charges>);

/// Charges of records that wait for the store. Empty where an earlier run left none.
#[derive(Debug, Default)]
pub struct Backlog {
    /// Where it ends in each lane.
    ends: OnceLock<Places>,
    rest: RwLock<Rest>,
}

#[derive(Debug, Default)]
struct Rest {
    charges: Charges,
    /// Up to where they have left: what is read again, as the spool was not released, does not leave again.
    left: Places,
    /// Up to where nobody has said what is in the store, until a batch is that goes as far.
    in_doubt: Places,
}

/// One in a lane.
#[derive(Debug, Clone, Default)]
struct Places(Vec<Position>);

/// A look at a backlog, which holds off the next batch.
#[derive(Debug)]
pub struct Waiting<'a>(RwLockReadGuard<'a, Rest>);

/// What goes from a backlog with a batch.
#[derive(Debug)]
pub(super) struct Leaving<'a> {
    backlog: &'a Backlog,
    with: Charges,
}

/// The same while it is stored: nobody looks. Dropped, it is in doubt.
#[derive(Debug)]
pub(super) struct Held<'a> {
    rest: RwLockWriteGuard<'a, Rest>,
    with: &'a Charges,
    /// Where its batch ends.
    ends: &'a [Position],
    /// What was in doubt before.
    before: Places,
}

impl Places {
    /// Whether `place` is not behind that of its lane.
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

impl Gathered {
    /// Adds what `record` charges: for [`spool::SpoolOpener::visit`].
    pub fn note(&self, record: &Record) {
        add(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), record);
    }
}

impl Backlog {
    /// From now on what was `gathered` waits, up to where the lanes end; called once, before anybody looks.
    pub async fn begin(&self, gathered: Gathered, ends: Vec<Position>) {
        self.rest.write().await.charges = gathered.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        // A second time nothing of it would ever leave.
        let _ = self.ends.set(Places(ends));
    }

    /// What waits now.
    ///
    /// # Errors
    /// [`StoreError::InDoubt`] after a batch that was not answered, until its records are known to be stored.
    pub async fn waiting(&self) -> Result<Waiting<'_>, StoreError> {
        let rest = self.rest.read().await;
        if rest.in_doubt.0.is_empty() { Ok(Waiting(rest)) } else { Err(StoreError::InDoubt) }
    }

    /// What of `records` is of the backlog; `None` where none charges anything, and nothing is in doubt.
    pub(super) async fn leaving(&self, records: &[(Position, Record)]) -> Option<Leaving<'_>> {
        let ends = self.ends.get()?;
        let rest = self.rest.read().await;
        let mut with = Charges::default();
        for (_, record) in records.iter().filter(|(place, _)| ends.reach(*place) && !rest.left.reach(*place)) {
            add(&mut with, record);
        }
        let concerns = !with.is_empty() || !rest.in_doubt.0.is_empty();
        concerns.then_some(Leaving { backlog: self, with })
    }
}

impl Waiting<'_> {
    /// What was charged to a subject in a period.
    #[must_use]
    pub fn charge_of(&self, subject: Subject, period: Period) -> Charge {
        self.0.charges.get(&(subject, period)).copied().unwrap_or_default()
    }

    /// The same of everyone in a period.
    pub fn charges(&self, period: Period) -> impl Iterator<Item = (Subject, Charge)> {
        self.0
            .charges
            .iter()
            .filter(move |((_, of), _)| *of == period)
            .map(|((subject, _), charge)| (*subject, *charge))
    }
}

impl Leaving<'_> {
    /// To be asked for when only the commit is left to do, of a batch that `ends` there: until this is over, who looks waits.
    pub(super) async fn hold<'a>(&'a self, ends: &'a [Position]) -> Held<'a> {
        let mut rest = self.backlog.rest.write().await;
        let before = rest.in_doubt.clone();
        rest.in_doubt.extend(ends);
        Held { rest, with: &self.with, ends, before }
    }
}

impl Held<'_> {
    /// It is in the store.
    pub(super) fn stored(mut self) {
        let Rest { charges, left, in_doubt } = &mut *self.rest;
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
            // And what held them.
            *charges = Charges::default();
        }
    }

    /// It is not.
    pub(super) fn refused(mut self) {
        self.rest.in_doubt = std::mem::take(&mut self.before);
    }
}

/// As the store's totals count it.
fn add(charges: &mut Charges, record: &Record) {
    match record {
        Record::Close(event) | Record::Event(event) if event.counts() => {
            charge(charges, event.caller, event.day, &event.charge);
        }
        Record::Counts { counts, .. } | Record::CloseBatch { counts, .. } => {
            for of in counts {
                charge(charges, of.caller, of.day, &Charge::credits(of.credits));
            }
        }
        Record::Open(_) | Record::Close(_) | Record::Event(_) => {}
    }
}

fn charge(charges: &mut Charges, caller: Option<Caller>, day: Day, more: &Charge) {
    let Some(Caller { user, key, plan }) = caller else { return };
    if *more == Charge::default() {
        return;
    }
    for per in [Per::Day, Per::Month] {
        for subject in [Subject::Key(key), Subject::User(user), Subject::Plan(plan), Subject::Global] {
            let of = charges.entry((subject, Period::of(per, day))).or_default();
            *of = of.and(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use meter::Counts;
    use uuid::Uuid;

    use super::*;

    const DAY: Day = Day(20_000);

    fn counted(user: i64, credits: u64) -> Record {
        let caller = Caller { user: access::UserNo(user), key: access::KeyNo(user * 10), plan: access::PlanId::NIL };
        let counts = Counts {
            caller: Some(caller),
            route: "users".into(),
            status_class: 2,
            minute: 1,
            day: DAY,
            requests: 1,
            credits,
        };
        Record::Counts { id: Uuid::nil(), counts: vec![counts] }
    }

    fn at(offset: u32) -> Position {
        Position { partition: 0, segment: 0, offset }
    }

    #[tokio::test]
    async fn what_waits_leaves_with_what_is_stored_and_what_came_later_does_not_count() {
        let gathered = Gathered::default();
        let records = [(at(10), counted(1, 3)), (at(20), counted(2, 4))];
        records.iter().for_each(|(_, record)| gathered.note(record));
        let backlog = Backlog::default();
        backlog.begin(gathered, vec![at(20)]).await;
        let [day, month] = [Per::Day, Per::Month].map(|per| Period::of(per, DAY));
        let credits = async |subject, period| backlog.waiting().await.unwrap().charge_of(subject, period).credits;
        let (one, two) = (Subject::User(access::UserNo(1)), Subject::Key(access::KeyNo(20)));
        assert_eq!(
            (credits(one, day).await, credits(two, month).await, credits(Subject::Global, day).await),
            (3, 4, 7)
        );

        assert!(backlog.leaving(&[(at(30), counted(1, 5))]).await.is_none());
        // What was not stored stays.
        backlog.leaving(&records).await.unwrap().hold(&[at(20)]).await.refused();
        assert_eq!(credits(Subject::Global, month).await, 7);
        let leaving = async |records, end| backlog.leaving(records).await.unwrap().hold(&[at(end)]).await.stored();
        leaving(&records[..1], 10).await;
        // The spool was not released, so it is read again, alone and with more.
        assert!(backlog.leaving(&records[..1]).await.is_none());
        assert_eq!(
            (credits(one, day).await, credits(two, month).await, credits(Subject::Global, day).await),
            (0, 4, 4)
        );
        leaving(&records, 20).await;
        let waiting = backlog.waiting().await.unwrap();
        assert_eq!(waiting.charges(day).count() + waiting.charges(month).count(), 0);
    }

    #[tokio::test]
    async fn after_a_batch_that_was_not_answered_nobody_is_told_what_waits_until_all_of_it_is_known_to_be_stored() {
        let (gathered, backlog, records) = (Gathered::default(), Backlog::default(), [counted(1, 3), counted(2, 4)]);
        let in_lane = |lane, offset| Position { partition: lane, ..at(offset) };
        records.iter().for_each(|record| gathered.note(record));
        backlog.begin(gathered, vec![in_lane(0, 10), in_lane(1, 10)]).await;
        let of = |lane: u32| [(in_lane(lane, 10), counted(i64::from(lane) + 1, 3 + u64::from(lane)))];
        let both = [of(0), of(1)].concat();
        drop(backlog.leaving(&both).await.unwrap().hold(&[in_lane(0, 10), in_lane(1, 10)]).await);
        assert!(matches!(backlog.waiting().await, Err(StoreError::InDoubt)));
        // What came meanwhile makes the next batch end earlier in a lane.
        backlog.leaving(&of(0)).await.unwrap().hold(&[in_lane(0, 90)]).await.stored();
        assert!(matches!(backlog.waiting().await, Err(StoreError::InDoubt)));
        drop(backlog.leaving(&of(1)).await.unwrap().hold(&[in_lane(1, 10)]).await);
        backlog.leaving(&of(1)).await.unwrap().hold(&[in_lane(1, 10)]).await.stored();
        let month = Period::of(Per::Month, DAY);
        assert_eq!(backlog.waiting().await.unwrap().charge_of(Subject::Global, month), Charge::default());
        // One without charges settles a doubt as well.
        let free = [(in_lane(0, 99), counted(1, 0))];
        backlog.rest.write().await.in_doubt.extend(&[in_lane(0, 95)]);
        backlog.leaving(&free).await.unwrap().hold(&[in_lane(0, 99)]).await.stored();
        assert!(backlog.waiting().await.is_ok() && backlog.leaving(&free).await.is_none());
    }
}
