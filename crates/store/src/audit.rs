//! Who changed what, when and from where: a line in the transaction of every change, never changed itself.

mod reading;

use std::net::IpAddr;

use access::{KeyId, SessionId, UserId};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::dialect::Transaction;
use crate::error::StoreError;
use crate::statement::statements;
use crate::store::Store;

#[cfg(test)]
pub(crate) use reading::STATEMENTS as READING;
pub use reading::{AUDIT_PAGE_MAX, AuditFilter, AuditLine, AuditPage, AuditPlace};

statements! {
    ADD = "INSERT INTO audit_log (id, actor, actor_user_id, actor_id, address, action, target_id, user_id, detail, created_at,
        updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)";
}

/// Who makes a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    /// Who.
    pub by: By,
    /// From where, when it came over the network.
    pub address: Option<IpAddr>,
}

/// What kind of actor it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Somebody at the command line.
    Command,
    /// Tollgate itself: what it does at start or by the clock, and what nobody who is known asked for.
    System,
    /// A user who signed in.
    User {
        /// The user.
        user: UserId,
        /// The sign-in; none while it is being made.
        session: Option<SessionId>,
    },
    /// A user's key.
    Key {
        /// The user.
        user: UserId,
        /// The key.
        key: KeyId,
    },
}

impl Actor {
    /// The command line.
    pub const COMMAND: Self = Self { by: By::Command, address: None };
    /// Tollgate itself.
    pub const SYSTEM: Self = Self { by: By::System, address: None };

    /// The columns `actor`, `actor_user_id` and `actor_id`.
    fn columns(&self) -> (&'static str, Option<Uuid>, Option<Uuid>) {
        match self.by {
            By::Command => ("command", None, None),
            By::System => ("system", None, None),
            By::User { user, session } => ("user", Some(user.0), session.map(|session| session.0)),
            By::Key { user, key } => ("key", Some(user.0), Some(key.0)),
        }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// What was done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word in the store and in the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

actions! {
    /// A user was made.
    UserCreate = "user.create";
    /// A user's name, plan, status or role was changed.
    UserChange = "user.change";
    /// A password was set or changed.
    UserPassword = "user.password";
    /// Somebody signed in.
    SessionCreate = "session.create";
    /// A session was ended: signed out, by its user or an admin.
    SessionEnd = "session.end";
    /// A refresh token was used twice, which ended its session.
    SessionTheft = "session.theft";
    /// A key was made.
    KeyCreate = "key.create";
    /// A key's label or bounds were changed.
    KeyChange = "key.change";
    /// A key got a new secret.
    KeyRotate = "key.rotate";
    /// A key was revoked.
    KeyRevoke = "key.revoke";
    /// A provider's credential was put into the vault.
    ProviderKeyCreate = "provider_key.create";
    /// A provider's credential was replaced or renamed.
    ProviderKeyChange = "provider_key.change";
    /// A provider's credential was deleted.
    ProviderKeyDelete = "provider_key.delete";
    /// The vault's credentials are sealed with a new master key.
    VaultRotate = "vault.rotate";
    /// A plan was made.
    PlanCreate = "plan.create";
    /// A plan was changed.
    PlanChange = "plan.change";
    /// A budget was set, changed or removed.
    BudgetChange = "budget.change";
    /// What a node that does not answer was lent was taken from it.
    LeaseReclaim = "lease.reclaim";
    /// Daily totals were mended from events.
    TotalsMend = "totals.mend";
    /// A one-time link was made.
    LinkCreate = "link.create";
    /// A one-time link was taken back.
    LinkRevoke = "link.revoke";
}

/// One line to be written.
#[derive(Debug)]
pub(crate) struct Act {
    action: Action,
    target: Uuid,
    owner: Option<UserId>,
    detail: Value,
}

impl Act {
    /// What was done to `target`, which is `owner`'s.
    pub(crate) fn of(action: Action, target: Uuid, owner: Option<UserId>) -> Self {
        Self { action, target, owner, detail: Value::Object(Map::new()) }
    }

    /// A JSON object of what is new about it; never a secret, never an e-mail.
    pub(crate) fn with(self, detail: Value) -> Self {
        Self { detail, ..self }
    }

    /// The same, which says of `what` how many, where there were any.
    pub(crate) fn counting(mut self, what: &str, count: u64) -> Self {
        if count > 0
            && let Value::Object(detail) = &mut self.detail
        {
            detail.insert(what.to_owned(), count.into());
        }
        self
    }
}

impl Store {
    /// Writes the line within the transaction of the change that it tells of.
    pub(crate) async fn note(&self, transaction: &mut Transaction, by: &Actor, act: Act) -> Result<(), StoreError> {
        let (actor, user, id) = by.columns();
        let add = transaction
            .query(ADD)
            .bind(self.new_id())
            .bind(actor)
            .bind(user)
            .bind(id)
            .bind(by.address.map(|address| address.to_canonical().to_string()))
            .bind(act.action.as_str())
            .bind(act.target)
            .bind(act.owner.map(|owner| owner.0))
            .bind(act.detail.to_string())
            .bind(self.now());
        add.run().await?;
        Ok(())
    }
}
