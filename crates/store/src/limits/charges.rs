//! Recorded credits, tokens and money, from which budgets are counted: by scope here, by node in [`by_node`], those of windows in
//! [`windows`].

pub mod by_node;
pub mod windows;

use std::collections::BTreeMap;

use access::{Amount, BudgetScope, Day, KeyNo, PlanId, UserNo};
use meter::{Charge, Period};
use uuid::Uuid;

use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sql::statements;

/// Columns of a [`ChargeRow`], with the column of the money. A sum may overflow although its parts do not, so billions and
/// remainders are summed separately.
macro_rules! sums {
    ($money:literal) => {
        concat!(
            "CAST(sum(credits / 1000000000) AS BIGINT) AS credit_billions, CAST(sum(credits % 1000000000) AS BIGINT) AS credits,
        CAST(sum(charged_tokens / 1000000000) AS BIGINT) AS token_billions,
        CAST(sum(charged_tokens % 1000000000) AS BIGINT) AS tokens,
        CAST(sum(", $money, " / 1000000000) AS BIGINT) AS dollars, CAST(sum(", $money, " % 1000000000) AS BIGINT) AS nano"
        )
    };
}

/// The sums of a user's or subject's charges.
macro_rules! sums_of_owner {
    () => {
        sums!("charged_nano")
    };
}

/// The sums that pooled budgets count.
macro_rules! pooled_sums {
    () => {
        sums!("(charged_nano - own_charged_nano)")
    };
}

statements! {
    CHARGES_BY_KEY = concat!("SELECT user_no, key_no, ", sums_of_owner!(), " FROM daily_usage WHERE day >= $1 AND day < $2
        GROUP BY user_no, key_no");
    CHARGES_BY_PLAN = concat!("SELECT plan_id, ", pooled_sums!(), " FROM daily_plans WHERE day >= $1 AND day < $2 GROUP BY plan_id");
    CHARGES_OF_KEY = concat!("SELECT ", sums_of_owner!(), " FROM daily_usage WHERE day >= $1 AND day < $2 AND key_no = $3
        AND user_no = (SELECT u.no FROM api_keys k JOIN users u ON u.id = k.user_id WHERE k.no = $3)");
    CHARGES_OF_USER = concat!("SELECT ", sums_of_owner!(), " FROM daily_usage WHERE day >= $1 AND day < $2 AND user_no = $3");
    CHARGES_OF_SUBJECT = concat!("SELECT ", sums_of_owner!(), " FROM daily_subjects WHERE day >= $1 AND day < $2 AND subject_id = $3");
    CHARGES_OF_WINDOW = concat!("SELECT ", sums_of_owner!(), " FROM window_usage WHERE owner_id = $1 AND per = $2 AND begin_minute = $3");
    CHARGES_OF_PLAN = concat!("SELECT ", pooled_sums!(), " FROM daily_plans WHERE day >= $1 AND day < $2 AND plan_id = $3");
    CHARGES_OF_ALL = concat!("SELECT ", pooled_sums!(), " FROM daily_plans WHERE day >= $1 AND day < $2");
}

const BILLION: u128 = 1_000_000_000;

/// Charges of a period, for each key, user and plan with usage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Charges {
    /// Charges of each key.
    pub keys: Vec<(KeyNo, Charge)>,
    /// Charges of each user, over all keys.
    pub users: Vec<(UserNo, Charge)>,
    /// Charges of each plan that users had.
    pub plans: Vec<(PlanId, Charge)>,
    /// Charges of all users together.
    pub all: Charge,
}

/// Sums, which are null if there were no rows.
#[derive(Debug, sqlx_macros::FromRow)]
struct ChargeRow {
    credit_billions: Option<i64>,
    credits: Option<i64>,
    token_billions: Option<i64>,
    tokens: Option<i64>,
    dollars: Option<i64>,
    nano: Option<i64>,
}

#[derive(sqlx_macros::FromRow)]
struct ChargesKeyRow {
    user_no: i64,
    key_no: i64,
    #[sqlx(flatten)]
    sums: ChargeRow,
}

#[derive(sqlx_macros::FromRow)]
struct ChargesPlanRow {
    plan_id: Uuid,
    #[sqlx(flatten)]
    sums: ChargeRow,
}

impl From<ChargeRow> for Charge {
    fn from(row: ChargeRow) -> Self {
        Self {
            credits: sum(row.credit_billions, row.credits).credits(),
            tokens: sum(row.token_billions, row.tokens).tokens(),
            ..Self::money(sum(row.dollars, row.nano).money())
        }
    }
}

/// Adds both parts; negative parts count as zero, and the sum saturates.
fn sum(billions: Option<i64>, rest: Option<i64>) -> Amount {
    let part = |part: Option<i64>| u128::try_from(part.unwrap_or(0)).unwrap_or(0);
    u64::try_from(part(billions) * BILLION + part(rest)).map_or(Amount::MAX, Amount)
}

/// Returns the first day of the period, and the first day after it.
fn days(period: Period) -> [i64; 2] {
    [period.first(), period.next().first()].map(|Day(day)| i64::from(day))
}

impl Store {
    /// Returns the charges of a period, as far as ingest has stored them; the meter is rebuilt from these.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn charges(&self, period: Period) -> Result<Charges, DatabaseError> {
        let [first, end] = days(period);
        let keys: Vec<ChargesKeyRow> = self.query(CHARGES_BY_KEY).bind(first).bind(end).all().await?;
        let plans: Vec<ChargesPlanRow> = self.query(CHARGES_BY_PLAN).bind(first).bind(end).all().await?;
        let mut charges = Charges::default();
        let mut users = BTreeMap::<UserNo, Charge>::new();
        for ChargesKeyRow { user_no, key_no, sums } in keys {
            let charge = Charge::from(sums);
            let user = users.entry(UserNo(user_no)).or_default();
            *user = user.and(&charge);
            charges.keys.push((KeyNo(key_no), charge));
        }
        charges.users = users.into_iter().collect();
        charges.plans = plans.into_iter().map(|row| (PlanId(row.plan_id), row.sums.into())).collect();
        charges.all = charges.plans.iter().fold(Charge::default(), |all, (_, charge)| all.and(charge));
        Ok(charges)
    }

    /// Returns the charge of one scope in a period, as far as ingest has stored it.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn charge_of(&self, scope: BudgetScope, period: Period) -> Result<Charge, DatabaseError> {
        if period.per().window().is_some() {
            return self.charge_of_window(scope, period).await;
        }
        let [first, end] = days(period);
        let of = |text: &'static str| self.look_up(text).bind(first).bind(end);
        let query = match scope {
            BudgetScope::Key(no) => of(CHARGES_OF_KEY).bind(no.0),
            BudgetScope::User(no) => of(CHARGES_OF_USER).bind(no.0),
            BudgetScope::Subject(id) => of(CHARGES_OF_SUBJECT).bind(id.0),
            BudgetScope::Plan(id) => of(CHARGES_OF_PLAN).bind(id.0),
            BudgetScope::Global => of(CHARGES_OF_ALL),
        };
        Ok(query.one::<ChargeRow>().await?.into())
    }
}

/// Returns every text of this module and its part.
#[cfg(test)]
pub(crate) fn texts(kind: crate::sql::StoreKind) -> Vec<String> {
    by_node::texts(kind)
}
