//! The outbox of mails. A row is added in the transaction of the change that it announces.

use access::{Day, Timestamp, UserId};
use store::sql::{Transaction, micros, statements, timestamp};
use store::{DatabaseError, Store};
use uuid::Uuid;

macro_rules! mail_columns {
    () => {
        "m.id, m.kind, m.object_id, m.user_id, u.email, u.name, m.language, m.state, m.attempts, m.error, m.created_at
        FROM mails m JOIN users u ON u.id = m.user_id"
    };
}

statements! {
    // The column email of a service user has no `@`. Mails to finance do not need the address.
    ADD = "INSERT INTO mails (id, kind, object_id, occasion, user_id, language, state, attempts, next_at, error, created_at, updated_at)
        SELECT $1, $2, $3, $7, u.id, coalesce(p.language, 'en'), 'waiting', 0, $5, '', $5, $5
        FROM users u LEFT JOIN billing_profiles p ON p.user_id = u.id WHERE u.id = $4 AND ($6 OR u.email LIKE '%@%')
        ON CONFLICT (kind, object_id, occasion) DO NOTHING";
    DUE = concat!("SELECT ", mail_columns!(), " WHERE m.state = 'waiting' AND m.next_at <= $1 ORDER BY m.next_at, m.id LIMIT $2");
    OF_USER = concat!("SELECT ", mail_columns!(), " WHERE m.user_id = $1 ORDER BY m.id LIMIT $2");
    CLAIM = "UPDATE mails SET state = 'sending', attempts = attempts + 1, updated_at = $2 WHERE id = $1 AND state = 'waiting'";
    POSTPONE = "UPDATE mails SET next_at = $2, error = $3, attempts = attempts + 1, updated_at = $4
        WHERE id = $1 AND state = 'waiting'";
    REPEAT = "UPDATE mails SET state = 'waiting', next_at = $2, error = $3, updated_at = $4 WHERE id = $1 AND state = 'sending'";
    FINISH = "UPDATE mails SET state = $2, error = $3, updated_at = $4 WHERE id = $1 AND state IN ('waiting', 'sending')";
    ABANDONED = concat!("SELECT ", mail_columns!(), " WHERE m.state = 'sending' AND m.updated_at < $1 ORDER BY m.id LIMIT $2");
    // A reminder of a later stage replaces the earlier ones.
    OVERDUE = "SELECT i.id, i.user_id FROM invoices i JOIN subscriptions s ON s.id = i.subscription_id
        WHERE i.state = 'open' AND i.kind <> 'change' AND i.due_at <= $1 AND s.state IN ('past_due', 'limited')
        AND (NOT s.cancel_at_end OR i.first_day <= $2) AND NOT EXISTS (SELECT 1 FROM mails m
        WHERE m.object_id = i.id AND m.kind IN ($3, $4, $5)) AND i.id > $6 ORDER BY i.id LIMIT $7";
}

/// A mail as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMail {
    /// Id of the mail, and the first part of its Message-ID.
    pub id: Uuid,
    /// The name of the kind.
    pub kind: String,
    /// The invoice, the payment or the refund that the mail announces.
    pub object: Uuid,
    /// The user as the customer.
    pub user: UserId,
    /// The address of the customer.
    pub email: String,
    /// The name of the customer.
    pub name: String,
    /// The language: `en` or `id`.
    pub language: String,
    /// The name of the state.
    pub state: String,
    /// Number of attempts to send it.
    pub attempts: i64,
    /// Why the last attempt failed; empty otherwise.
    pub error: String,
    /// The time of the change.
    pub created_at: Timestamp,
}

#[derive(Debug, sqlx_macros::FromRow)]
struct MailRow {
    id: Uuid,
    kind: String,
    object_id: Uuid,
    user_id: Uuid,
    email: String,
    name: String,
    language: String,
    state: String,
    attempts: i64,
    error: String,
    created_at: i64,
}

impl From<MailRow> for StoredMail {
    fn from(row: MailRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            object: row.object_id,
            user: UserId(row.user_id),
            email: row.email,
            name: row.name,
            language: row.language,
            state: row.state,
            attempts: row.attempts,
            error: row.error,
            created_at: timestamp(row.created_at),
        }
    }
}

/// A mail that is to be stored.
#[derive(Debug, Clone, Copy)]
pub struct NewMail<'a> {
    /// The name of the kind.
    pub kind: &'a str,
    /// The invoice, the payment or the refund that the mail announces.
    pub object: Uuid,
    /// The user as the customer.
    pub user: UserId,
    /// Whether finance gets it, so that the customer needs no address.
    pub is_for_finance: bool,
    /// Whether the object may have several mails of this kind, at different times.
    pub may_repeat: bool,
}

/// Adds a mail, unless one of this kind, object and occasion exists or its reader has no address.
///
/// # Errors
/// Database errors of any kind.
pub async fn add(store: &Store, tx: &mut Transaction, new: NewMail<'_>) -> Result<(), DatabaseError> {
    let NewMail { kind, object, user, is_for_finance, may_repeat } = new;
    let occasion = if may_repeat { store.now() } else { 0 };
    let add = tx.query(ADD).bind(store.new_id()).bind(kind).bind(object).bind(user.0).bind(store.now());
    add.bind(is_for_finance).bind(occasion).run().await?;
    Ok(())
}

/// Returns mails whose next attempt is due, from the earliest.
///
/// # Errors
/// Database errors of any kind.
pub async fn due(store: &Store, now: Timestamp, limit: u32) -> Result<Vec<StoredMail>, DatabaseError> {
    let rows = store.query(DUE).bind(micros(now)).bind(i64::from(limit)).all::<MailRow>().await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Returns mails of a user, from the oldest.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_user(store: &Store, user: UserId, limit: u32) -> Result<Vec<StoredMail>, DatabaseError> {
    let rows = store.query(OF_USER).bind(user.0).bind(i64::from(limit)).all::<MailRow>().await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Records that the server may have the message from now on. Returns false if another node sends it.
///
/// # Errors
/// Database errors of any kind.
pub async fn claim(store: &Store, id: Uuid) -> Result<bool, DatabaseError> {
    let mut tx = store.begin().await?;
    let claimed = tx.query(CLAIM).bind(id).bind(store.now()).run().await? == 1;
    tx.commit().await?;
    Ok(claimed)
}

/// Plans the next attempt after one that ended before the message was sent.
///
/// # Errors
/// Database errors of any kind.
pub async fn postpone(store: &Store, id: Uuid, next_at: Timestamp, error: &str) -> Result<(), DatabaseError> {
    let mut tx = store.begin().await?;
    tx.query(POSTPONE).bind(id).bind(micros(next_at)).bind(error).bind(store.now()).run().await?;
    tx.commit().await
}

/// Plans the next attempt after the server refused the message for now.
///
/// # Errors
/// Database errors of any kind.
pub async fn repeat(store: &Store, id: Uuid, next_at: Timestamp, error: &str) -> Result<(), DatabaseError> {
    let mut tx = store.begin().await?;
    tx.query(REPEAT).bind(id).bind(micros(next_at)).bind(error).bind(store.now()).run().await?;
    tx.commit().await
}

/// Records the last state of a mail.
///
/// # Errors
/// Database errors of any kind.
pub async fn finish(store: &Store, id: Uuid, state: &str, error: &str) -> Result<(), DatabaseError> {
    let mut tx = store.begin().await?;
    tx.query(FINISH).bind(id).bind(state).bind(error).bind(store.now()).run().await?;
    tx.commit().await
}

/// Returns mails whose sending began before `before` and has no result: the process ended meanwhile.
///
/// # Errors
/// Database errors of any kind.
pub async fn abandoned(store: &Store, before: Timestamp, limit: u32) -> Result<Vec<StoredMail>, DatabaseError> {
    let rows = store.query(ABANDONED).bind(micros(before)).bind(i64::from(limit)).all::<MailRow>().await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// The invoices that a stage of reminders is about.
#[derive(Debug, Clone, Copy)]
pub struct OverdueInvoices<'a> {
    /// The latest time until which they had to be paid.
    pub due_until: Timestamp,
    /// The present day: of a subscription that ends, later periods are not reminded of.
    pub today: Day,
    /// The kinds of this stage and of later ones; an invoice with a mail of one of them is left out.
    pub kinds: [&'a str; 3],
}

/// Returns open invoices after an id that are past their due time, with their users. Subscriptions that were cancelled
/// have none.
///
/// # Errors
/// Database errors of any kind.
pub async fn overdue(
    store: &Store,
    of: OverdueInvoices<'_>,
    after: Uuid,
    limit: u32,
) -> Result<Vec<(Uuid, UserId)>, DatabaseError> {
    let mut query = store.query(OVERDUE).bind(micros(of.due_until)).bind(i64::from(of.today.0));
    for kind in of.kinds {
        query = query.bind(kind);
    }
    let rows: Vec<(Uuid, Uuid)> = query.bind(after).bind(i64::from(limit)).all().await?;
    Ok(rows.into_iter().map(|(invoice, user)| (invoice, UserId(user))).collect())
}
