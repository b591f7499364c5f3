//! Pages of the audit log for admins, newest line first.

use std::net::IpAddr;

use access::{KeyId, SessionId, Timestamp, UserId};
use serde_json::Value;
use uuid::Uuid;

use super::{Actor, ActorKind, AuditAction};
use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sql::{micros, statements, timestamp};

/// Maximum number of lines that one page scans. If few lines match several conditions, a page may be shorter than requested
/// although further pages exist.
const LOOKED_AT_MAX: usize = 5_000;
/// Number of lines per query if they have to be filtered afterwards.
const BATCH: usize = 500;
/// Maximum number of lines in a page.
pub const AUDIT_PAGE_MAX: usize = 1_000;

/// Lines after a place are older, or have the same time and a smaller id.
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
    OF_ACTOR = page!("a.actor_user_id = $5 AND");
}

/// Filter for the lines of the audit log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only lines about objects of this user.
    pub user: Option<UserId>,
    /// Only changes that this user made, signed in or with a key.
    pub actor: Option<UserId>,
    /// Only lines with this action.
    pub action: Option<AuditAction>,
    /// Only lines written at or after this time.
    pub since: Option<Timestamp>,
    /// Only lines written before this time.
    pub until: Option<Timestamp>,
}

/// The place of a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditPlace {
    /// Time at which the line was written.
    pub at: Timestamp,
    /// Id of the line.
    pub id: Uuid,
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditLine {
    /// Place of the line in the log.
    pub place: AuditPlace,
    /// Author of the change, with the address.
    pub actor: Actor,
    /// Current name of the actor's user.
    pub actor_name: Option<String>,
    /// Word of an [`AuditAction`], possibly one of a newer version.
    pub action: String,
    /// Object that was changed.
    pub target: Uuid,
    /// User who owns the object.
    pub owner: Option<UserId>,
    /// Current name of the owner.
    pub owner_name: Option<String>,
    /// Details of the change, a JSON object.
    pub detail: Value,
}

/// One page of the audit log, newest line first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuditPage {
    /// Lines of the page.
    pub lines: Vec<AuditLine>,
    /// Place after which the next page begins; `None` at the end of the log. An empty page may have a next page.
    pub next: Option<AuditPlace>,
}

#[derive(sqlx_macros::FromRow)]
struct AuditRow {
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

impl AuditFilter {
    /// Whether a line of the time has the user, the actor and the action.
    fn selects(&self, row: &AuditRow) -> bool {
        self.user.is_none_or(|user| row.user_id == Some(user.0))
            && self.actor.is_none_or(|actor| row.actor_user_id == Some(actor.0))
            && self.action.is_none_or(|action| row.action == action.as_str())
    }
}

impl AuditRow {
    fn place(&self) -> AuditPlace {
        AuditPlace { at: timestamp(self.created_at), id: self.id }
    }

    fn actor(&self) -> Option<Actor> {
        let by = match (self.actor.as_str(), self.actor_user_id, self.actor_id) {
            ("command", ..) => ActorKind::Command,
            ("system", ..) => ActorKind::System,
            ("user", Some(user), session) => ActorKind::User { user: UserId(user), session: session.map(SessionId) },
            ("key", Some(user), Some(key)) => ActorKind::Key { user: UserId(user), key: KeyId(key) },
            _ => return None,
        };
        let address = match &self.address {
            Some(text) => Some(text.parse::<IpAddr>().ok()?),
            None => None,
        };
        Some(Actor { by, address })
    }
}

impl TryFrom<AuditRow> for AuditLine {
    type Error = DatabaseError;

    fn try_from(row: AuditRow) -> Result<Self, DatabaseError> {
        let unreadable = |column| DatabaseError::Unreadable { table: "audit_log", column };
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
    /// Returns up to `limit` lines (at most [`AUDIT_PAGE_MAX`]) that are older than `after`, newest first. The number
    /// of scanned lines is bounded, however long the log is.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn audit_page(
        &self,
        filter: &AuditFilter,
        after: Option<AuditPlace>,
        limit: usize,
    ) -> Result<AuditPage, DatabaseError> {
        let limit = limit.clamp(1, AUDIT_PAGE_MAX);
        // One index serves a user, another an actor, another an action. If the filter has several, the others are searched
        // among the lines of the first.
        let conditions = usize::from(filter.user.is_some()) + usize::from(filter.actor.is_some());
        let is_search = conditions + usize::from(filter.action.is_some()) > 1;
        let batch = if is_search { BATCH } else { limit + 1 };
        let mut place = begin(filter, after);
        let mut page = AuditPage::default();
        let mut looked_at = 0;
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
                if filter.selects(&row) {
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

    async fn audit_rows(
        &self,
        filter: &AuditFilter,
        after: AuditPlace,
        limit: usize,
    ) -> Result<Vec<AuditRow>, DatabaseError> {
        let since = filter.since.map_or(0, micros);
        let text = match (filter.user, filter.actor, filter.action) {
            (Some(_), ..) => OF_USER,
            (None, Some(_), _) => OF_ACTOR,
            (None, None, Some(_)) => OF_ACTION,
            (None, None, None) => ALL,
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = self.query(text).bind(since).bind(micros(after.at)).bind(after.id).bind(limit);
        let query = match (filter.user.or(filter.actor), filter.action) {
            (Some(user), _) => query.bind(user.0),
            (None, Some(action)) => query.bind(action.as_str()),
            (None, None) => query,
        };
        query.all().await
    }
}

/// Returns the place at which a page begins: the newest line, `until`, or the end of the previous page.
fn begin(filter: &AuditFilter, after: Option<AuditPlace>) -> AuditPlace {
    let until = AuditPlace { at: filter.until.unwrap_or(Timestamp(u64::MAX)), id: Uuid::nil() };
    match after {
        Some(after) if after.at < until.at => after,
        Some(_) | None => until,
    }
}

#[cfg(test)]
mod tests;
