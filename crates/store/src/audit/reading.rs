//! The log as admins read it: newest first, a page at a time.

use std::net::IpAddr;

use access::{KeyId, SessionId, Timestamp, UserId};
use serde_json::Value;
use uuid::Uuid;

use super::{Action, Actor, By};
use crate::error::StoreError;
use crate::statement::{micros, statements, timestamp};
use crate::store::Store;

/// Lines that one page looks at: where few are of an action, a page may have fewer than were asked for, and is followed by more.
const LOOKED_AT_MAX: usize = 5_000;
/// Lines that are asked for at once where some may not be of the action.
const BATCH: usize = 500;
/// More than a page ever holds.
pub const AUDIT_PAGE_MAX: usize = 1_000;

/// What follows a place is older, or as old with a smaller id.
macro_rules! page {
    ($filter:literal) => {
        concat!(
            "SELECT a.id, a.actor, a.actor_user_id, a.actor_id, a.address, a.action, a.target_id, a.user_id, a.detail,
                a.created_at, actor.name AS actor_name, owner.name AS owner_name
            FROM audit_log a
            LEFT JOIN users actor ON actor.id = a.actor_user_id
            LEFT JOIN users owner ON owner.id = a.user_id
            WHERE ",
            $filter,
            " a.created_at >= $1 AND (a.created_at, a.id) < ($2, $3)
            ORDER BY a.created_at DESC, a.id DESC LIMIT $4"
        )
    };
}

statements! {
    ALL = page!("");
    OF_USER = page!("a.user_id = $5 AND");
    OF_ACTION = page!("a.action = $5 AND");
}

/// Which lines are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// About what is this user's.
    pub user: Option<UserId>,
    /// Of this action.
    pub action: Option<Action>,
    /// Written then or later.
    pub since: Option<Timestamp>,
    /// Written before.
    pub until: Option<Timestamp>,
}

/// A line's place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditPlace {
    /// When it was written.
    pub at: Timestamp,
    /// Its id.
    pub id: Uuid,
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditLine {
    /// Where it stands.
    pub place: AuditPlace,
    /// Who did it, and from where.
    pub actor: Actor,
    /// What the actor's user is called today.
    pub actor_name: Option<String>,
    /// What was done: a word of [`Action`], or one of a newer tollgate's.
    pub action: String,
    /// What it was done to.
    pub target: Uuid,
    /// Whose that is.
    pub owner: Option<UserId>,
    /// What the owner is called today.
    pub owner_name: Option<String>,
    /// What is new about it: a JSON object.
    pub detail: Value,
}

/// Lines, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuditPage {
    /// The lines.
    pub lines: Vec<AuditLine>,
    /// After which place the next page begins; `None` at the log's end. There may be a next page where this one is empty.
    pub next: Option<AuditPlace>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    actor: String,
    actor_user_id: Option<Uuid>,
    actor_id: Option<Uuid>,
    address: Option<String>,
    action: String,
    target_id: Uuid,
    user_id: Option<Uuid>,
    detail: String,
    created_at: i64,
    actor_name: Option<String>,
    owner_name: Option<String>,
}

impl Row {
    fn place(&self) -> AuditPlace {
        AuditPlace { at: timestamp(self.created_at), id: self.id }
    }

    fn actor(&self) -> Option<Actor> {
        let by = match (self.actor.as_str(), self.actor_user_id, self.actor_id) {
            ("command", ..) => By::Command,
            ("system", ..) => By::System,
            ("user", Some(user), session) => By::User { user: UserId(user), session: session.map(SessionId) },
            ("key", Some(user), Some(key)) => By::Key { user: UserId(user), key: KeyId(key) },
            _ => return None,
        };
        let address = match &self.address {
            Some(text) => Some(text.parse::<IpAddr>().ok()?),
            None => None,
        };
        Some(Actor { by, address })
    }
}

impl TryFrom<Row> for AuditLine {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let unreadable = |column| StoreError::Unreadable { table: "audit_log", column };
        Ok(Self {
            place: row.place(),
            actor: row.actor().ok_or_else(|| unreadable("actor"))?,
            actor_name: row.actor_name,
            action: row.action,
            target: row.target_id,
            owner: row.user_id.map(UserId),
            owner_name: row.owner_name,
            detail: serde_json::from_str(&row.detail).map_err(|_| unreadable("detail"))?,
        })
    }
}

impl Store {
    /// Up to `limit` lines (at most [`AUDIT_PAGE_MAX`]) that are older than `after`, newest first. It looks at a bounded number
    /// of lines, however long the log is.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], and what the database meets.
    pub async fn audit_page(
        &self,
        filter: &AuditFilter,
        after: Option<AuditPlace>,
        limit: usize,
    ) -> Result<AuditPage, StoreError> {
        let limit = limit.clamp(1, AUDIT_PAGE_MAX);
        // An index answers for a user or for an action; where both are asked for, the action is looked for among the user's.
        let sought = filter.action.filter(|_| filter.user.is_some()).map(Action::as_str);
        let batch = if sought.is_some() { BATCH } else { limit + 1 };
        let mut place = begin(filter, after);
        let (mut page, mut looked_at) = (AuditPage::default(), 0);
        loop {
            let rows = self.audit_rows(filter, place, batch).await?;
            let is_last = rows.len() < batch;
            for row in rows {
                if page.lines.len() == limit {
                    page.next = Some(place);
                    return Ok(page);
                }
                place = row.place();
                looked_at += 1;
                if sought.is_none_or(|action| action == row.action) {
                    page.lines.push(row.try_into()?);
                }
            }
            if is_last {
                return Ok(page);
            }
            if looked_at >= LOOKED_AT_MAX {
                page.next = Some(place);
                return Ok(page);
            }
        }
    }

    async fn audit_rows(&self, filter: &AuditFilter, after: AuditPlace, limit: usize) -> Result<Vec<Row>, StoreError> {
        let since = filter.since.map_or(0, micros);
        let text = match (filter.user, filter.action) {
            (Some(_), _) => OF_USER,
            (None, Some(_)) => OF_ACTION,
            (None, None) => ALL,
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = self.query(text).bind(since).bind(micros(after.at)).bind(after.id).bind(limit);
        let query = match (filter.user, filter.action) {
            (Some(user), _) => query.bind(user.0),
            (None, Some(action)) => query.bind(action.as_str()),
            (None, None) => query,
        };
        Ok(query.all().await?)
    }
}

/// Where the first page begins: before everything, at `until`, or where the last one ended.
fn begin(filter: &AuditFilter, after: Option<AuditPlace>) -> AuditPlace {
    let until = AuditPlace { at: filter.until.unwrap_or(Timestamp(u64::MAX)), id: Uuid::nil() };
    match after {
        Some(after) if after.at < until.at => after,
        Some(_) | None => until,
    }
}

#[cfg(test)]
mod tests;
