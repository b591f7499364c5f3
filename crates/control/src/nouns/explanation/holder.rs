//! The client that an explained request is made as: a key of the store, or a client that the configuration lists.

use std::net::IpAddr;

use access::{KeyBounds, KeyId, PlanId, Refusal, Role, Subject, SubjectId, Timestamp, UserId, UserStatus};
use config::{ExplainedRefusal, Explanation, ListedClient};
use meter::Caller;
use serde::Serialize;
use store::{DatabaseError, Key, Store, User, UserRef};
use utoipa::ToSchema;

use super::{ExplanationError, ExplanationSources};
use crate::nouns::budgets::{self, BudgetQuery, ExplainedBudget, SubjectQuotas};
use crate::nouns::usage_scope::UsageScope;

/// The name of a client: `as` of the API, `--as` of the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HolderName {
    /// The id of a key in the store.
    Key(KeyId),
    /// `ENTRY/NAME`: a key or a user that an entry of `auth` lists.
    Listed(String),
}

/// The client of an explained request.
#[derive(Debug)]
pub(super) enum Holder<'a> {
    Key(Box<KeyHolder>),
    Listed(ListedClient<'a>),
}

/// A key with its user.
#[derive(Debug)]
pub(super) struct KeyHolder {
    pub(super) key: Key,
    pub(super) user: User,
}

/// The key that a request is made with.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExplainedKey {
    #[schema(value_type = Uuid)]
    id: KeyId,
    label: String,
    last4: String,
    #[schema(value_type = Uuid)]
    user_id: UserId,
    user_name: String,
    /// The name of the user's plan.
    plan: String,
}

/// The key or the user of an entry of `auth` that a request is made as.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExplainedSubject {
    /// The name of the entry.
    entry: String,
    /// The name of the key or the user.
    name: String,
    /// The name of its plan; null without one.
    plan: Option<String>,
    /// The position of the entry in the file.
    place: Option<String>,
}

impl HolderName {
    /// Parses the id of a key, or `ENTRY/NAME`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let of_key = text.parse().ok().map(|id| Self::Key(KeyId(id)));
        of_key.or_else(|| text.contains('/').then(|| Self::Listed(text.to_owned())))
    }
}

impl<'a> Holder<'a> {
    pub(super) async fn find(sources: ExplanationSources<'a>, name: &HolderName) -> Result<Self, ExplanationError> {
        match name {
            HolderName::Key(id) => Ok(Self::Key(Box::new(KeyHolder::find(sources.store, *id).await?))),
            HolderName::Listed(text) => {
                sources.snapshot.listed_client(text).map(Self::Listed).ok_or(ExplanationError::NotListed)
            }
        }
    }

    /// Returns the identity of its requests.
    pub(super) fn subject(&self) -> Subject {
        match self {
            Self::Key(holder) => holder.subject(),
            Self::Listed(client) => client.subject.clone(),
        }
    }

    /// Returns the name of its plan.
    pub(super) fn plan(&self) -> Option<&str> {
        match self {
            Self::Key(holder) => Some(&holder.user.plan.name),
            Self::Listed(client) => client.plan.map(|plan| plan.name.as_str()),
        }
    }

    /// Returns the quotas and budgets that apply to it.
    pub(super) async fn budgets(&self, sources: ExplanationSources<'_>) -> Result<Vec<ExplainedBudget>, DatabaseError> {
        match self {
            Self::Key(holder) => holder.budgets(sources).await,
            Self::Listed(ListedClient { subject, plan: Some(plan), .. }) => {
                let subject = SubjectId::from_subject(subject).ok_or("the client has no name");
                let day = sources.clock.now().day();
                SubjectQuotas { plan, subject }.explained(sources.budgets(), day).await
            }
            Self::Listed(ListedClient { plan: None, .. }) => Ok(Vec::new()),
        }
    }
}

impl From<&KeyHolder> for ExplainedKey {
    fn from(KeyHolder { key, user }: &KeyHolder) -> Self {
        Self {
            id: key.id,
            label: key.label.clone(),
            last4: key.last4.clone(),
            user_id: user.id,
            user_name: user.name.clone(),
            plan: user.plan.name.clone(),
        }
    }
}

impl ExplainedKey {
    pub(super) fn line(&self) -> String {
        let Self { id, label, last4, user_name, plan, .. } = self;
        format!("key {id} (…{last4}, {label}) of {user_name}, plan {plan}")
    }
}

impl From<&ListedClient<'_>> for ExplainedSubject {
    fn from(client: &ListedClient<'_>) -> Self {
        Self {
            entry: client.entry.to_owned(),
            name: client.name.to_owned(),
            plan: client.plan.map(|plan| plan.name.clone()),
            place: client.place.clone(),
        }
    }
}

impl ExplainedSubject {
    pub(super) fn line(&self) -> String {
        let place = self.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
        let plan = self.plan.as_ref().map_or("no plan".to_owned(), |plan| format!("plan {plan}"));
        format!("{} of {}{place}, {plan}", self.name, self.entry)
    }
}

impl KeyHolder {
    async fn find(store: &Store, id: KeyId) -> Result<Self, ExplanationError> {
        let key = store.find_key(id).await?.ok_or(ExplanationError::NoKey)?;
        let user = store.find_user(&UserRef::Id(key.user)).await?.ok_or(ExplanationError::NoKey)?;
        Ok(Self { key, user })
    }

    fn subject(&self) -> Subject {
        Subject::Key(Caller { user: self.user.no, key: self.key.no, plan: PlanId::NIL })
    }

    /// Returns the refusal of the key, if it is not valid for the request.
    pub(super) fn refusal(
        &self,
        of: &Explanation,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Option<ExplainedRefusal> {
        let refused = |refusal: Refusal, message: &str| {
            Some(ExplainedRefusal { status: refusal.status(), code: refusal.code(), message: message.to_owned() })
        };
        let Key { revoked_at, expires_at, bounds, .. } = &self.key;
        let is_bound_elsewhere = |bounds: &KeyBounds| {
            of.route.as_ref().is_some_and(|route| !route.is_endpoint && !bounds.opens_route(&route.name))
        };
        if revoked_at.is_some() {
            refused(Refusal::KeyRevoked, "the key was revoked")
        } else if expires_at.is_some_and(|end| end <= now) {
            refused(Refusal::KeyExpired, "the key has expired")
        } else if self.user.status == UserStatus::Suspended {
            refused(Refusal::UserSuspended, "the user of the key is suspended")
        } else if self.user.is_held {
            refused(Refusal::PaymentRequired, "the key's user has unpaid invoices")
        } else if address.is_some_and(|address| !bounds.opens_from(address)) {
            refused(Refusal::Forbidden, "the key is bound to networks, and the address is in none of them")
        } else if is_bound_elsewhere(bounds) {
            refused(Refusal::Forbidden, "the key is bound to routes, and this is not one of them")
        } else if of.model.as_deref().is_some_and(|model| !bounds.opens_model(model)) {
            refused(Refusal::Forbidden, "the key is bound to models, and this is not one of them")
        } else {
            None
        }
    }

    async fn budgets(&self, sources: ExplanationSources<'_>) -> Result<Vec<ExplainedBudget>, DatabaseError> {
        let ExplanationSources { snapshot, clock, .. } = sources;
        let Self { key, user } = self;
        let scope = UsageScope { user: user.id, no: user.no, plan: std::sync::Arc::new(user.plan.clone()) };
        let query = BudgetQuery { role: Role::Admin, scope: &scope, key: Some(key.into()) };
        let views = budgets::holding(sources.budgets(), query, clock.now().day()).await?;
        Ok(views.into_iter().map(|view| ExplainedBudget::of_user(view, &user.plan.name, snapshot)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_named_by_the_id_of_a_key_or_by_entry_and_name() {
        let id = "0199aa00-0000-7000-8000-000000000001";
        assert_eq!(HolderName::parse(id), Some(HolderName::Key(KeyId(id.parse().unwrap()))));
        assert_eq!(HolderName::parse("partners/a/b"), Some(HolderName::Listed("partners/a/b".to_owned())));
        assert_eq!(HolderName::parse("laptop"), None);
    }
}
