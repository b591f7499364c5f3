//! Recorded charges of windows that are no UTC day, week or month.

use access::{BudgetScope, LimitPeriod, Minute, SubjectId, UserNo};
use meter::{Charge, Period};
use uuid::Uuid;

use super::{CHARGES_OF_WINDOW, ChargeRow};
use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sql::{Transaction, statements, unsigned};

statements! {
    OPEN = "SELECT begin_minute, end_minute FROM window_usage WHERE owner_id = $1 AND per = $2 AND end_minute > $3
        ORDER BY begin_minute DESC LIMIT 1";
    BY_NODE = "SELECT node_id, credits, charged_tokens, charged_nano FROM window_usage
        WHERE owner_id = $1 AND per = $2 AND begin_minute = $3";
}

/// The charges of a node: its id, credits, tokens and nano-USD.
pub(super) type NodeCharges = (Uuid, i64, i64, i64);

/// Returns the owner of a window in the store: of a user, its number as an id. Other scopes have no windows.
#[must_use]
pub fn owner_id(scope: BudgetScope) -> Option<Uuid> {
    match scope {
        BudgetScope::User(UserNo(no)) => Some(Uuid::from_u128(u128::from(no.unsigned_abs()))),
        BudgetScope::Subject(subject) => Some(subject.0),
        BudgetScope::Key(_) | BudgetScope::Plan(_) | BudgetScope::Global => None,
    }
}

/// Returns the scope of an owner in the store. The id of a subject is larger than each number of a user.
#[must_use]
pub fn owner_of(id: Uuid) -> BudgetScope {
    match i64::try_from(id.as_u128()) {
        Ok(no) => BudgetScope::User(UserNo(no)),
        Err(_) => BudgetScope::Subject(SubjectId(id)),
    }
}

impl Store {
    /// Returns the newest window of a user or a subject that has not ended at `at`, if ingest has stored a charge of it.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn open_window(
        &self,
        scope: BudgetScope,
        per: LimitPeriod,
        at: Minute,
    ) -> Result<Option<Period>, DatabaseError> {
        let Some(owner) = owner_id(scope) else { return Ok(None) };
        let found: Option<(i64, i64)> =
            self.look_up(OPEN).bind(owner).bind(per.to_string()).bind(i64::from(at.0)).find().await?;
        Ok(found.map(|(begin, end)| Period::between(per, minute(begin), minute(end))))
    }

    /// Returns the charge of a window, as far as ingest has stored it.
    pub(super) async fn charge_of_window(&self, scope: BudgetScope, period: Period) -> Result<Charge, DatabaseError> {
        let Some(owner) = owner_id(scope) else { return Ok(Charge::default()) };
        let begin = i64::from(period.begin().0);
        let query = self.look_up(CHARGES_OF_WINDOW).bind(owner).bind(period.per().to_string()).bind(begin);
        Ok(query.one::<ChargeRow>().await?.into())
    }
}

/// Returns the charges of a window by node.
pub(super) async fn by_node(
    transaction: &mut Transaction,
    scope: BudgetScope,
    period: Period,
) -> Result<Vec<NodeCharges>, DatabaseError> {
    let Some(owner) = owner_id(scope) else { return Ok(Vec::new()) };
    let begin = i64::from(period.begin().0);
    transaction.query(BY_NODE).bind(owner).bind(period.per().to_string()).bind(begin).all().await
}

fn minute(stored: i64) -> Minute {
    Minute(u32::try_from(unsigned(stored)).unwrap_or(u32::MAX))
}
