//! Billing periods of all subscriptions, for finance: which have ended, and which invoice closed them.

use access::{Day, UserId};
use invoicing::rules::invoice_state::InvoiceState;
use store::sql::statements;
use store::{DatabaseError, Store};
use uuid::Uuid;

use super::parsing::{day, known};
use super::parties::BilledUser;

/// The begin of a period is its first entry of days: later entries of the period are changes of the plan. The entry begins
/// after the period if the period was paid later, or if its first day is charged with another subscription.
macro_rules! is_begin {
    () => {
        "NOT EXISTS (SELECT 1 FROM subscription_days b WHERE b.subscription_id = d.subscription_id
        AND b.period_first = d.period_first AND b.first_day < d.first_day)"
    };
}

macro_rules! period_columns {
    () => {
        "d.id, d.subscription_id, s.user_id, u.name, u.email, p.name AS plan, v.version, d.period_first, d.period_last,
        s.first_day AS current_first, s.last_day AS current_last, s.state <> 'cancelled' OR s.usage_due AS is_counted,
        (SELECT min(n.period_first) FROM subscription_days n WHERE n.subscription_id = d.subscription_id
        AND n.period_first > d.period_first) AS next_first, i.id AS invoice_id, i.number_text, i.state AS invoice_state
        FROM subscription_days d JOIN subscriptions s ON s.id = d.subscription_id JOIN users u ON u.id = s.user_id
        JOIN plan_versions v ON v.id = d.plan_version_id JOIN plans p ON p.id = v.plan_id
        LEFT JOIN invoices i ON i.subscription_id = d.subscription_id AND i.kind = 'period' AND i.state <> 'draft'
        AND i.first_day = CASE WHEN d.period_first = s.first_day THEN s.last_day ELSE d.period_last END + 1"
    };
}

statements! {
    ALL = concat!("SELECT ", period_columns!(), " WHERE d.id < $1 AND ", is_begin!(), " ORDER BY d.id DESC LIMIT $2");
    // Periods that are not closed are those of the subscriptions.
    NOT_CLOSED = concat!("SELECT ", period_columns!(), " WHERE d.period_first = s.first_day AND ", is_begin!(), "
        AND (s.state <> 'cancelled' OR s.usage_due) AND s.last_day >= $1 AND s.last_day <= $2 AND d.id < $3
        ORDER BY d.id DESC LIMIT $4");
    CLOSED = concat!("SELECT ", period_columns!(), " WHERE ", is_begin!(), "
        AND (d.period_first <> s.first_day OR (s.state = 'cancelled' AND NOT s.usage_due)) AND d.id < $1
        ORDER BY d.id DESC LIMIT $2");
    // A user has few periods.
    OF_USER = concat!("SELECT ", period_columns!(), " WHERE ", is_begin!(), " AND s.user_id = $1 AND d.id < $2
        AND ($3 = '' OR $3 = CASE WHEN d.period_first <> s.first_day OR (s.state = 'cancelled' AND NOT s.usage_due)
        THEN 'closed' WHEN s.last_day < $4 THEN 'waiting' ELSE 'current' END) ORDER BY d.id DESC LIMIT $5");
}

/// Whether a period is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeriodState {
    /// The period has not ended.
    Current,
    /// The period has ended, and is not closed.
    Waiting,
    /// The period is closed, or its subscription left it.
    Closed,
}

/// The periods of a list; without values, all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeriodFilter {
    /// Only periods of this user.
    pub user: Option<UserId>,
    /// Only periods in this state.
    pub state: Option<PeriodState>,
}

/// A period of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BilledPeriod {
    /// Id of the begin of the period.
    pub id: Uuid,
    /// The subscription whose period it is.
    pub subscription: Uuid,
    /// The user who subscribed.
    pub user: BilledUser,
    /// The name of the plan with which the period began.
    pub plan: String,
    /// The version of the plan's price, from 1.
    pub version: i64,
    /// The first day of the period.
    pub first_day: Day,
    /// The last day of the period. A subscription that left the period ended it earlier.
    pub last_day: Day,
    /// Whether it is closed.
    pub state: PeriodState,
    /// The invoice by which the period was closed; `None` if nothing was charged.
    pub invoice: Option<ClosingInvoice>,
}

/// The invoice by which a period was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosingInvoice {
    /// Id of the invoice.
    pub id: Uuid,
    /// The number; `None` before it is opened.
    pub number: Option<String>,
    /// The state of the invoice.
    pub state: InvoiceState,
}

#[derive(Debug, sqlx_macros::FromRow)]
struct PeriodRow {
    id: Uuid,
    subscription_id: Uuid,
    user_id: Uuid,
    name: String,
    email: Option<String>,
    plan: String,
    version: i64,
    period_first: i64,
    period_last: i64,
    current_first: i64,
    current_last: i64,
    is_counted: bool,
    next_first: Option<i64>,
    invoice_id: Option<Uuid>,
    number_text: Option<String>,
    invoice_state: Option<String>,
}

impl PeriodState {
    /// All states, in the order of a period's life.
    pub const ALL: [Self; 3] = [Self::Current, Self::Waiting, Self::Closed];

    /// Returns the name of the state.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Waiting => "waiting",
            Self::Closed => "closed",
        }
    }
}

impl PeriodRow {
    /// Returns the period as of `today`.
    ///
    /// # Errors
    /// The state of the invoice is unknown.
    fn period(self, today: Day) -> Result<BilledPeriod, DatabaseError> {
        let is_current = self.period_first == self.current_first;
        let whole_last = if is_current { self.current_last } else { self.period_last };
        // A period that was left for another one was not closed, and has no invoice.
        let left_before = self.next_first.filter(|next| *next <= whole_last);
        let last_day = day(left_before.map_or(whole_last, |next| next - 1), "subscription_days", "period_last")?;
        let state = match is_current && self.is_counted {
            false => PeriodState::Closed,
            true if last_day < today => PeriodState::Waiting,
            true => PeriodState::Current,
        };
        let invoice = if left_before.is_none() { self.invoice_id.zip(self.invoice_state) } else { None };
        let invoice = match invoice {
            Some((id, state)) => {
                let state = known(InvoiceState::of_name(&state), "invoices", "state")?;
                Some(ClosingInvoice { id, number: self.number_text, state })
            }
            None => None,
        };
        Ok(BilledPeriod {
            id: self.id,
            subscription: self.subscription_id,
            user: BilledUser::new(self.user_id, self.name, self.email),
            plan: self.plan,
            version: self.version,
            first_day: day(self.period_first, "subscription_days", "period_first")?,
            last_day,
            state,
            invoice,
        })
    }
}

/// Returns the periods of a list before `before`, from the newest. A period ended if its last day is before `today`.
///
/// # Errors
/// Database errors of any kind.
pub async fn page(
    store: &Store,
    of: PeriodFilter,
    today: Day,
    before: Uuid,
    limit: u32,
) -> Result<Vec<BilledPeriod>, DatabaseError> {
    let now = i64::from(today.0);
    let most = i64::from(limit);
    let query = match (of.user, of.state) {
        (Some(user), state) => {
            let state = state.map_or("", PeriodState::as_str);
            store.query(OF_USER).bind(user.0).bind(before).bind(state).bind(now)
        }
        (None, None) => store.query(ALL).bind(before),
        (None, Some(PeriodState::Current)) => store.query(NOT_CLOSED).bind(now).bind(i64::from(u32::MAX)).bind(before),
        (None, Some(PeriodState::Waiting)) => store.query(NOT_CLOSED).bind(0_i64).bind(now - 1).bind(before),
        (None, Some(PeriodState::Closed)) => store.query(CLOSED).bind(before),
    };
    let rows: Vec<PeriodRow> = query.bind(most).all().await?;
    rows.into_iter().map(|row| row.period(today)).collect()
}
