//! Invoices with their lines and their numbers.

mod rows;

use access::{Currency, Day, Timestamp, UserId};
use invoicing::rules::invoice::LineKind;
use invoicing::rules::invoice_kind::InvoiceKind;
use invoicing::rules::invoice_state::InvoiceState;
use store::sql::{Transaction, micros, statements};
use store::{DatabaseError, Store};
use uuid::Uuid;

use self::rows::{InvoiceLineRow, InvoiceRow};
use super::parsing::{known, read};
use super::postings::is_paid_once;

macro_rules! invoice_columns {
    () => {
        "id, user_id, subscription_id, kind, of_invoice_id, target_version_id, first_day, last_day, state, number_text,
        currency, subtotal, tax_name, tax_rate, tax_base, tax, total, remaining, issued_at, due_at, digest,
        tax_invoice_number, reason, usage_first_day, usage_last_day, created_at FROM invoices"
    };
}

statements! {
    ADD = "INSERT INTO invoices (id, user_id, subscription_id, kind, of_invoice_id, target_version_id, first_day, last_day,
        state, currency, subtotal, tax_name, tax_rate, tax_base, tax, total, remaining, rules_version, digest,
        tax_invoice_number, reason, usage_first_day, usage_last_day, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7,
        $8, 'draft', $9, $10, $11, $12, $13, $14, $15, $15, $16, $17, '', $18, $19, $20, $21, $21)";
    ADD_LINE = "INSERT INTO invoice_lines (id, invoice_id, no, kind, text, quantity, unit, unit_price_pico, amount,
        plan_version_id, first_day, last_day, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)";
    FIND = concat!("SELECT ", invoice_columns!(), " WHERE id = $1");
    OF_USER = concat!("SELECT ", invoice_columns!(), " WHERE user_id = $1 AND id < $2 AND state <> 'draft' ORDER BY id DESC LIMIT $3");
    OF_USER_IN_STATE = concat!("SELECT ", invoice_columns!(), " WHERE user_id = $1 AND id < $2 AND state = $3 ORDER BY id DESC LIMIT $4");
    ALL = concat!("SELECT ", invoice_columns!(), " WHERE id < $1 AND state <> 'draft' ORDER BY id DESC LIMIT $2");
    ALL_IN_STATE = concat!("SELECT ", invoice_columns!(), " WHERE id < $1 AND state = $2 ORDER BY id DESC LIMIT $3");
    OPEN_OF = concat!("SELECT ", invoice_columns!(), " WHERE subscription_id = $1 AND state = 'open' ORDER BY id LIMIT 1000");
    OPEN_OF_USER = concat!("SELECT ", invoice_columns!(), " WHERE user_id = $1 AND state = 'open' AND currency = $2
        ORDER BY id LIMIT 1000");
    // A change that was paid once has moved the subscription: if the payment is taken back, the invoice stays due.
    LAPSED_CHANGES = concat!("SELECT id FROM invoices WHERE state = 'open' AND kind = 'change' AND due_at <= $1 AND NOT ",
        is_paid_once!("invoices.id"), " AND id > $2 ORDER BY id LIMIT $3");
    // Void periods tell which period a subscription has left; void changes would hide older invoices.
    OF_DAY = concat!("SELECT ", invoice_columns!(), " WHERE subscription_id = $1
        AND (kind = 'period' AND state <> 'draft' OR kind = 'change' AND state NOT IN ('draft', 'void'))
        AND first_day <= $2 AND last_day >= $2 ORDER BY id DESC LIMIT 1000");
    CREDIT_NOTES = concat!("SELECT ", invoice_columns!(), " WHERE of_invoice_id = $1 ORDER BY id LIMIT 1000");
    CREDITED = "SELECT CAST(coalesce(sum(subtotal), 0) AS BIGINT), CAST(coalesce(sum(tax), 0) AS BIGINT) FROM invoices
        WHERE of_invoice_id = $1";
    LINES = "SELECT no, kind, text, quantity, unit, unit_price_pico, amount, plan_version_id, first_day, last_day
        FROM invoice_lines WHERE invoice_id = $1 ORDER BY no";
    BILLED = "SELECT l.no, l.kind, l.text, l.quantity, l.unit, l.unit_price_pico, l.amount, l.plan_version_id, l.first_day,
        l.last_day FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id
        WHERE i.subscription_id = $1 AND l.last_day >= $2 AND l.kind IN ('usage', 'late') ORDER BY l.invoice_id, l.no LIMIT 10000";
    NEXT_NUMBER = "INSERT INTO number_series (id, name, last, created_at, updated_at) VALUES ($1, $2, 1, $3, $3)
        ON CONFLICT (name) DO UPDATE SET last = number_series.last + 1, updated_at = excluded.updated_at RETURNING last";
    NUMBER = "UPDATE invoices SET state = $2, series = $3, number = $4, number_text = $5, issued_at = $6, due_at = $7,
        updated_at = $6 WHERE id = $1";
    SET = "UPDATE invoices SET state = $2, remaining = $3, updated_at = $4 WHERE id = $1";
    SET_TAX_NUMBER = "UPDATE invoices SET tax_invoice_number = $2, updated_at = $3 WHERE id = $1";
}

/// An invoice as it is stored, without its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInvoice {
    /// Id of the invoice.
    pub id: Uuid,
    /// The user who owes it.
    pub user: UserId,
    /// The subscription; `None` for an invoice without one.
    pub subscription: Option<Uuid>,
    /// The kind of the invoice.
    pub kind: InvoiceKind,
    /// The invoice that a credit note corrects.
    pub of_invoice: Option<Uuid>,
    /// The plan version to which the payment moves the subscription.
    pub target_version: Option<Uuid>,
    /// The first day, in UTC.
    pub first_day: Day,
    /// The last day, in UTC.
    pub last_day: Day,
    /// The state of the invoice.
    pub state: InvoiceState,
    /// The number; `None` for a draft.
    pub number: Option<String>,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The sum of the lines.
    pub subtotal: i64,
    /// The name of the tax; empty without one.
    pub tax_name: String,
    /// The rate of the tax, as the configuration writes it.
    pub tax_rate: String,
    /// The taxed part of the subtotal.
    pub tax_base: i64,
    /// The tax on the base.
    pub tax: i64,
    /// The sum of subtotal and tax.
    pub total: i64,
    /// The part that is not paid.
    pub remaining: i64,
    /// The time at which the number was given.
    pub issued_at: Option<Timestamp>,
    /// The time until which it must be paid.
    pub due_at: Option<Timestamp>,
    /// SHA-256 of the lines and totals.
    pub digest: String,
    /// The number of the tax invoice, which another system gives.
    pub tax_invoice_number: String,
    /// Why a credit note was made; empty for others.
    pub reason: String,
    /// The first and the last day of the ended period whose usage it charges; `None` without one.
    pub usage_days: Option<[Day; 2]>,
    /// The time at which the draft was made.
    pub created_at: Timestamp,
}

/// An invoice that is to be stored, as a draft.
#[derive(Debug, Clone)]
pub struct NewInvoice {
    /// Id of the invoice.
    pub id: Uuid,
    /// The user who owes it.
    pub user: UserId,
    /// The subscription to which it belongs.
    pub subscription: Option<Uuid>,
    /// The kind of the invoice.
    pub kind: InvoiceKind,
    /// The invoice that a credit note corrects.
    pub of_invoice: Option<Uuid>,
    /// The plan version to which the payment moves the subscription.
    pub target_version: Option<Uuid>,
    /// The first day, in UTC.
    pub first_day: Day,
    /// The last day, in UTC.
    pub last_day: Day,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The sum of the lines.
    pub subtotal: i64,
    /// The name of the tax; empty without one.
    pub tax_name: String,
    /// The rate of the tax.
    pub tax_rate: String,
    /// The taxed part of the subtotal.
    pub tax_base: i64,
    /// The tax on the base.
    pub tax: i64,
    /// The sum of subtotal and tax.
    pub total: i64,
    /// The version of the arithmetic.
    pub rules_version: i64,
    /// SHA-256 of the lines and totals.
    pub digest: String,
    /// Why a credit note is made; empty for others.
    pub reason: String,
    /// The first and the last day of the ended period whose usage it charges; `None` without one.
    pub usage_days: Option<[Day; 2]>,
    /// The lines, in their order.
    pub lines: Vec<StoredInvoiceLine>,
}

/// A line of an invoice as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInvoiceLine {
    /// The number of the line, from 1.
    pub no: i64,
    /// The kind of the line.
    pub kind: LineKind,
    /// The text for the customer.
    pub text: String,
    /// Units that are charged.
    pub quantity: u64,
    /// The name of a unit.
    pub unit: String,
    /// The price of a unit in pico units of the currency.
    pub unit_price_pico: Option<i64>,
    /// The amount of the line.
    pub amount: i64,
    /// The plan version that determines the amount.
    pub plan_version_id: Option<Uuid>,
    /// The first day, counted from 1970-01-01.
    pub first_day: i64,
    /// The last day, counted from 1970-01-01.
    pub last_day: i64,
}

/// Adds an invoice as a draft, with its lines.
///
/// # Errors
/// Database errors of any kind, also if the period has an invoice.
pub async fn add(store: &Store, tx: &mut Transaction, new: &NewInvoice) -> Result<(), DatabaseError> {
    let add = tx
        .query(ADD)
        .bind(new.id)
        .bind(new.user.0)
        .bind(new.subscription)
        .bind(new.kind.as_str())
        .bind(new.of_invoice)
        .bind(new.target_version)
        .bind(i64::from(new.first_day.0))
        .bind(i64::from(new.last_day.0))
        .bind(new.currency.code())
        .bind(new.subtotal)
        .bind(new.tax_name.as_str())
        .bind(new.tax_rate.as_str())
        .bind(new.tax_base)
        .bind(new.tax)
        .bind(new.total)
        .bind(new.rules_version)
        .bind(new.digest.as_str())
        .bind(new.reason.as_str())
        .bind(new.usage_days.map(|[first, _]| i64::from(first.0)))
        .bind(new.usage_days.map(|[_, last]| i64::from(last.0)))
        .bind(store.now());
    add.run().await?;
    for line in &new.lines {
        let add = tx
            .query(ADD_LINE)
            .bind(store.new_id())
            .bind(new.id)
            .bind(line.no)
            .bind(line.kind.as_str())
            .bind(line.text.as_str())
            .bind(known(i64::try_from(line.quantity).ok(), "invoice_lines", "quantity")?)
            .bind(line.unit.as_str())
            .bind(line.unit_price_pico)
            .bind(line.amount)
            .bind(line.plan_version_id)
            .bind(line.first_day)
            .bind(line.last_day)
            .bind(store.now());
        add.run().await?;
    }
    Ok(())
}

/// Returns an invoice by its id.
///
/// # Errors
/// Database errors of any kind.
pub async fn find(tx: &mut Transaction, id: Uuid) -> Result<Option<StoredInvoice>, DatabaseError> {
    tx.query(FIND).bind(id).find::<InvoiceRow>().await?.map(TryInto::try_into).transpose()
}

/// Returns an invoice by its id, outside of a transaction.
///
/// # Errors
/// Database errors of any kind.
pub async fn present(store: &Store, id: Uuid) -> Result<Option<StoredInvoice>, DatabaseError> {
    store.query(FIND).bind(id).find::<InvoiceRow>().await?.map(TryInto::try_into).transpose()
}

/// Returns invoices of a user from the newest to the oldest, before `before`; drafts only if `state` says so.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_user(
    store: &Store,
    user: UserId,
    state: Option<&str>,
    before: Uuid,
    limit: u32,
) -> Result<Vec<StoredInvoice>, DatabaseError> {
    let query = match state {
        None => store.query(OF_USER).bind(user.0).bind(before),
        Some(state) => store.query(OF_USER_IN_STATE).bind(user.0).bind(before).bind(state),
    };
    read(query.bind(i64::from(limit)).all::<InvoiceRow>().await?)
}

/// Returns invoices of all users from the newest to the oldest, before `before`, without drafts.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_all(
    store: &Store,
    state: Option<&str>,
    before: Uuid,
    limit: u32,
) -> Result<Vec<StoredInvoice>, DatabaseError> {
    let query = match state {
        None => store.query(ALL).bind(before),
        Some(state) => store.query(ALL_IN_STATE).bind(before).bind(state),
    };
    read(query.bind(i64::from(limit)).all::<InvoiceRow>().await?)
}

/// Returns the open invoices of a subscription.
///
/// # Errors
/// Database errors of any kind.
pub async fn open_of(tx: &mut Transaction, subscription: Uuid) -> Result<Vec<StoredInvoice>, DatabaseError> {
    read(tx.query(OPEN_OF).bind(subscription).all::<InvoiceRow>().await?)
}

/// Returns the open invoices of a user in one currency, from the oldest.
///
/// # Errors
/// Database errors of any kind.
pub async fn open_of_user(
    tx: &mut Transaction,
    user: UserId,
    currency: Currency,
) -> Result<Vec<StoredInvoice>, DatabaseError> {
    read(tx.query(OPEN_OF_USER).bind(user.0).bind(currency.code()).all::<InvoiceRow>().await?)
}

/// Returns the ids of open invoices of changes that were never paid and whose time to pay has passed, in their order after
/// `after`.
///
/// # Errors
/// Database errors of any kind.
pub async fn lapsed_changes(
    store: &Store,
    now: Timestamp,
    after: Uuid,
    limit: u32,
) -> Result<Vec<Uuid>, DatabaseError> {
    let query = store.query(LAPSED_CHANGES).bind(micros(now)).bind(after).bind(i64::from(limit));
    Ok(query.all::<(Uuid,)>().await?.into_iter().map(|(id,)| id).collect())
}

/// Returns invoices of a subscription for periods and changes whose days contain a day, from the newest, without drafts.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_day(tx: &mut Transaction, subscription: Uuid, of: Day) -> Result<Vec<StoredInvoice>, DatabaseError> {
    read(tx.query(OF_DAY).bind(subscription).bind(i64::from(of.0)).all::<InvoiceRow>().await?)
}

/// Returns the credit notes of an invoice, from the oldest.
///
/// # Errors
/// Database errors of any kind.
pub async fn credit_notes(store: &Store, invoice: Uuid) -> Result<Vec<StoredInvoice>, DatabaseError> {
    read(store.query(CREDIT_NOTES).bind(invoice).all::<InvoiceRow>().await?)
}

/// Returns the parts of an invoice's subtotal and tax that credit notes have taken back.
///
/// # Errors
/// Database errors of any kind.
pub async fn credited(tx: &mut Transaction, invoice: Uuid) -> Result<(i64, i64), DatabaseError> {
    tx.query(CREDITED).bind(invoice).one().await
}

/// Returns the lines of an invoice.
///
/// # Errors
/// Database errors of any kind.
pub async fn lines(store: &Store, invoice: Uuid) -> Result<Vec<StoredInvoiceLine>, DatabaseError> {
    read(store.query(LINES).bind(invoice).all::<InvoiceLineRow>().await?)
}

/// Returns the lines about usage that invoices of a subscription have billed, of days from `from` on.
///
/// # Errors
/// Database errors of any kind.
pub async fn billed(
    tx: &mut Transaction,
    subscription: Uuid,
    from: Day,
) -> Result<Vec<StoredInvoiceLine>, DatabaseError> {
    read(tx.query(BILLED).bind(subscription).bind(i64::from(from.0)).all::<InvoiceLineRow>().await?)
}

/// Returns the next number of a series. The transaction's end decides whether it is given.
///
/// # Errors
/// Database errors of any kind.
pub async fn next_number(store: &Store, tx: &mut Transaction, series: &str) -> Result<i64, DatabaseError> {
    let query = tx.query(NEXT_NUMBER).bind(store.new_id()).bind(series).bind(store.now());
    Ok(query.one::<(i64,)>().await?.0)
}

/// The number of an invoice, and the time until which it must be paid.
#[derive(Debug, Clone, Copy)]
pub struct GivenNumber<'a> {
    /// The name of the series.
    pub series: &'a str,
    /// The number in the series.
    pub number: i64,
    /// The number as it is printed.
    pub text: &'a str,
    /// The time until which it must be paid.
    pub due_at: Timestamp,
}

/// Gives a draft its number and its first state.
///
/// # Errors
/// Database errors of any kind.
pub async fn number(
    store: &Store,
    tx: &mut Transaction,
    id: Uuid,
    state: &str,
    given: GivenNumber<'_>,
) -> Result<(), DatabaseError> {
    let GivenNumber { series, number, text, due_at } = given;
    let query = tx.query(NUMBER).bind(id).bind(state).bind(series).bind(number).bind(text);
    query.bind(store.now()).bind(micros(due_at)).run().await?;
    Ok(())
}

/// Sets the state and the part that is not paid.
///
/// # Errors
/// Database errors of any kind.
pub async fn set(
    store: &Store,
    tx: &mut Transaction,
    id: Uuid,
    state: &str,
    remaining: i64,
) -> Result<(), DatabaseError> {
    tx.query(SET).bind(id).bind(state).bind(remaining).bind(store.now()).run().await?;
    Ok(())
}

/// Sets the number of the tax invoice.
///
/// # Errors
/// Database errors of any kind.
pub async fn set_tax_number(store: &Store, tx: &mut Transaction, id: Uuid, number: &str) -> Result<(), DatabaseError> {
    tx.query(SET_TAX_NUMBER).bind(id).bind(number).bind(store.now()).run().await?;
    Ok(())
}
