//! Roles of users beside admin and member: a name, and perhaps the label that the role is limited to.

use std::collections::HashMap;

use access::UserId;
use serde::Serialize;
use uuid::Uuid;

use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sql::{ASKED_MAX, StoreKind, Texts, Transaction, padded, statements};

/// Maximum number of roles of one user.
pub const GRANTS_MAX: usize = 32;

statements! {
    OF_USER = "SELECT role, label FROM grants WHERE user_id = $1 ORDER BY role, label LIMIT 100";
    DROP = "DELETE FROM grants WHERE user_id = $1";
    ADD = "INSERT INTO grants (id, user_id, role, label, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)";
}

pub(crate) static TEXTS: Texts = Texts::new(text);

/// One role of a user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RoleGrant {
    /// Name of the role, such as `finance`.
    pub role: String,
    /// The label as `NAME=VALUE` that the role is limited to; `None` everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl Store {
    /// Returns the roles of a user, in the order of their names.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn grants(&self, user: UserId) -> Result<Vec<RoleGrant>, DatabaseError> {
        let rows: Vec<(String, String)> = self.query(OF_USER).bind(user.0).all().await?;
        Ok(rows.into_iter().map(grant).collect())
    }

    /// Returns the roles of these users, each in the order of their names. Users without a role are left out.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn grants_of(&self, users: &[UserId]) -> Result<HashMap<UserId, Vec<RoleGrant>>, DatabaseError> {
        let mut found: HashMap<UserId, Vec<RoleGrant>> = HashMap::new();
        for users in users.chunks(ASKED_MAX) {
            let asked = padded(users);
            let mut query = self.look_up(TEXTS.text_for(self.kind(), asked.len()));
            for user in asked {
                query = query.bind(user.0);
            }
            let rows: Vec<(Uuid, String, String)> = query.all().await?;
            for (user, role, label) in rows {
                found.entry(UserId(user)).or_default().push(grant((role, label)));
            }
        }
        Ok(found)
    }

    /// Replaces the roles of a user within a transaction.
    pub(crate) async fn replace_grants(
        &self,
        transaction: &mut Transaction,
        user: UserId,
        grants: &[RoleGrant],
    ) -> Result<(), DatabaseError> {
        transaction.query(DROP).bind(user.0).run().await?;
        for RoleGrant { role, label } in grants {
            let add = transaction.query(ADD).bind(self.new_id()).bind(user.0).bind(role.clone());
            add.bind(label.clone().unwrap_or_default()).bind(self.now()).run().await?;
        }
        Ok(())
    }
}

/// Returns the roles of a user within a transaction.
pub(crate) async fn of_user(transaction: &mut Transaction, user: UserId) -> Result<Vec<RoleGrant>, DatabaseError> {
    let rows: Vec<(String, String)> = transaction.query(OF_USER).bind(user.0).all().await?;
    Ok(rows.into_iter().map(grant).collect())
}

fn grant(row: (String, String)) -> RoleGrant {
    let (role, label) = row;
    RoleGrant { role, label: Some(label).filter(|label| !label.is_empty()) }
}

/// Builds the query for a number of users.
fn text(kind: StoreKind, users: usize) -> String {
    let mut text = "SELECT user_id, role, label FROM grants WHERE user_id IN ".to_owned();
    kind.placeholders_from(1, users, &mut text);
    text.push_str(" ORDER BY role, label");
    text
}
