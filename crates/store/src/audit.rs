//! Audit log of changes: who changed what, when and from which address. Each line is written in the transaction of its
//! change and never modified.

mod difference;
mod reading;

use std::net::IpAddr;

use access::{KeyId, SessionId, UserId};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sql::{Transaction, statements};

pub(crate) use difference::Difference;
#[cfg(test)]
pub(crate) use reading::STATEMENTS as READING;
pub use reading::{AUDIT_PAGE_MAX, AuditFilter, AuditLine, AuditPage, AuditPlace};

statements! {
    ADD = "INSERT INTO audit_log (id, actor, actor_user_id, actor_id, address, action, target_id, user_id, detail, created_at,
        updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)";
}

/// Author of a change and the address it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    /// Kind and identity of the author.
    pub by: ActorKind,
    /// Client address, if the change came over the network.
    pub address: Option<IpAddr>,
}

/// The author of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    /// A person at the command line.
    Command,
    /// Tollgate itself: work at startup or on a timer, and changes requested by an unauthenticated client.
    System,
    /// A user who signed in.
    User {
        /// The user who signed in.
        user: UserId,
        /// Session of the user; `None` while the session is being created.
        session: Option<SessionId>,
    },
    /// A key of a user.
    Key {
        /// Owner of the key.
        user: UserId,
        /// Id of the key.
        key: KeyId,
    },
}

impl Actor {
    /// The author of changes at the command line.
    pub const COMMAND: Self = Self { by: ActorKind::Command, address: None };
    /// The author of changes that Tollgate makes itself.
    pub const SYSTEM: Self = Self { by: ActorKind::System, address: None };

    /// Returns the columns `actor`, `actor_user_id` and `actor_id`.
    pub(crate) fn columns(&self) -> (&'static str, Option<Uuid>, Option<Uuid>) {
        match self.by {
            ActorKind::Command => ("command", None, None),
            ActorKind::System => ("system", None, None),
            ActorKind::User { user, session } => ("user", Some(user.0), session.map(|session| session.0)),
            ActorKind::Key { user, key } => ("key", Some(user.0), Some(key.0)),
        }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// The action that a line records.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum AuditAction {
            $($(#[$doc])* $name,)*
        }

        impl AuditAction {
            /// All actions of this version.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the word that the store and the API use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

actions! {
    /// A user was created.
    UserCreate = "user.create";
    /// A user's name, plan, status or role was changed.
    UserChange = "user.change";
    /// A password was set or changed.
    UserPassword = "user.password";
    /// A user signed in.
    SessionCreate = "session.create";
    /// A sign-in was refused. Floods leave only a part of their lines.
    SessionRefuse = "session.refuse";
    /// A session was ended: signed out, by its user or an admin.
    SessionEnd = "session.end";
    /// A refresh token was used twice, which ended its session.
    SessionTheft = "session.theft";
    /// A key was created.
    KeyCreate = "key.create";
    /// A key's label or bounds were changed.
    KeyChange = "key.change";
    /// A key got a new secret.
    KeyRotate = "key.rotate";
    /// A key was revoked.
    KeyRevoke = "key.revoke";
    /// A key with the scope `admin` was used.
    KeyUse = "key.use";
    /// A provider's credential was added to the vault.
    ProviderKeyCreate = "provider_key.create";
    /// A provider's credential was replaced or renamed.
    ProviderKeyChange = "provider_key.change";
    /// A provider's credential was deleted.
    ProviderKeyDelete = "provider_key.delete";
    /// The vault's credentials are sealed with a new master key.
    VaultRotate = "vault.rotate";
    /// A plan was created.
    PlanCreate = "plan.create";
    /// A plan was changed.
    PlanChange = "plan.change";
    /// A user subscribed to a plan.
    SubscriptionCreate = "subscription.create";
    /// The state or the plan of a subscription was changed.
    SubscriptionChange = "subscription.change";
    /// Finance approved, voided, gave up or credited an invoice.
    InvoiceChange = "invoice.change";
    /// Finance closed the billing periods that had ended.
    BillingClose = "billing.close";
    /// Finance returned a payment to its customer.
    PaymentRefund = "payment.refund";
    /// A user changed the customer on documents.
    BillingProfileChange = "billing_profile.change";
    /// Finance added a webhook.
    WebhookCreate = "webhook.create";
    /// Finance changed, enabled or disabled a webhook, or it was disabled because it accepted nothing for a day.
    WebhookChange = "webhook.change";
    /// A webhook got a new secret.
    WebhookRotate = "webhook.rotate";
    /// Finance made deliveries of a webhook due again.
    WebhookReplay = "webhook.replay";
    /// Finance sent a test event to a webhook.
    WebhookTest = "webhook.test";
    /// Finance deleted a webhook.
    WebhookDelete = "webhook.delete";
    /// A budget was set, changed or removed.
    BudgetChange = "budget.change";
    /// An unresponsive node's lease was reclaimed.
    LeaseReclaim = "lease.reclaim";
    /// A node whose data folder is lost was forgotten.
    NodeForget = "node.forget";
    /// Daily totals were corrected from usage events.
    TotalsRepair = "totals.repair";
    /// A one-time link was created.
    LinkCreate = "link.create";
    /// A one-time link was withdrawn.
    LinkRevoke = "link.revoke";
    /// A configuration was applied while Tollgate runs.
    ConfigurationApply = "configuration.apply";
    /// The settings of insights were changed.
    InsightsChange = "insights.change";
    /// A role approved or rejected the figures of a day.
    ReviewSignoff = "review.signoff";
    /// A key that signs exports was created.
    SigningKeyCreate = "signing_key.create";
    /// A configuration was checked, or refused when it was to be applied.
    ConfigurationValidate = "configuration.validate";
    /// Stored responses were removed or marked stale.
    CachePurge = "cache.purge";
}

/// A new line of the audit log.
#[derive(Debug)]
pub struct Act {
    action: AuditAction,
    target: Uuid,
    owner: Option<UserId>,
    detail: Value,
}

impl Act {
    /// Describes an action on `target`, which belongs to `owner`.
    #[must_use]
    pub fn new(action: AuditAction, target: Uuid, owner: Option<UserId>) -> Self {
        Self { action, target, owner, detail: Value::Object(Map::new()) }
    }

    /// Adds the details as a JSON object. They never contain a secret or an e-mail address.
    #[must_use]
    pub fn with(self, detail: Value) -> Self {
        Self { detail, ..self }
    }

    /// Adds the field `what` with `count` to the details, unless `count` is zero.
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
    /// Writes a line that records no change.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn note_alone(&self, by: &Actor, act: Act) -> Result<(), DatabaseError> {
        let mut transaction = self.begin().await?;
        self.note(&mut transaction, by, act).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Writes the line in the transaction of the change that it records.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn note(&self, transaction: &mut Transaction, by: &Actor, act: Act) -> Result<(), DatabaseError> {
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
