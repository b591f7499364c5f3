//! A key as responses show it: everything except its secret.

use access::{ControlScope, KeyBounds, KeyId, UserId};
use serde::Serialize;
use store::{Key, PreviousSecret};
use utoipa::ToSchema;

use crate::message::moment::rfc3339;
use crate::nouns::labels_view::{self, LabelsView};

/// A key without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct KeyView {
    /// The id of the key; it does not change on rotation.
    #[schema(value_type = Uuid)]
    id: KeyId,
    /// The user who owns the key.
    #[schema(value_type = Uuid)]
    user_id: UserId,
    /// The part before the underscore.
    prefix: String,
    /// The last four digits of the secret.
    last4: String,
    /// The label of the key.
    label: String,
    /// The time of creation.
    #[schema(format = DateTime)]
    created_at: String,
    /// The expiry; null if the key does not expire.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The time of revocation; null if the key is not revoked.
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
    /// The time of the last use, to about a minute; null if the key was never used.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    /// Whether the key has the scope `admin`: it calls what admins call, while its user is an admin.
    admin: bool,
    /// The labels of the key's requests, by name; they override the user's labels with the same name.
    labels: LabelsView,
    /// The secret before the last rotation; null if the key was never rotated.
    previous: Option<Previous>,
    #[serde(flatten)]
    bound: Bound,
}

/// The secret of a key before its last rotation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreviousSecret)]
struct Previous {
    /// The last four digits of the secret.
    last4: String,
    /// The expiry of the secret.
    #[schema(format = DateTime)]
    until: String,
    /// The time of its last use after the rotation, to about a minute; null if it was not used.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

/// The restrictions of a key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyBounds)]
pub(crate) struct Bound {
    scopes: KeyScopesView,
    limits: KeyLimitsView,
    /// Networks that the key may be used from; null means all addresses.
    addresses: Option<Vec<String>>,
}

/// The routes and models that a key may use; null means no restriction.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyScopes)]
struct KeyScopesView {
    /// Names of plain routes that the key may use.
    routes: Option<Vec<String>>,
    /// Models as requests name them; a `*` at the end matches the rest of a name.
    models: Option<Vec<String>>,
    /// What the key may call of the admin API: `none`, `self` or `read`; missing means the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    control: Option<&'static str>,
}

/// The own limits of a key; null means no limit. The user's plan applies as well.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyLimits)]
struct KeyLimitsView {
    /// The maximum number of credits per UTC day.
    credits_per_day: Option<u64>,
    /// The maximum number of requests per minute.
    requests_per_minute: Option<u32>,
}

impl From<Key> for KeyView {
    fn from(key: Key) -> Self {
        Self {
            id: key.id,
            user_id: key.user,
            prefix: key.prefix,
            last4: key.last4,
            label: key.label,
            created_at: rfc3339(key.created_at),
            expires_at: key.expires_at.map(rfc3339),
            revoked_at: key.revoked_at.map(rfc3339),
            last_used_at: key.used_at.map(rfc3339),
            admin: key.is_admin,
            labels: labels_view::view(&key.labels),
            previous: key.previous.map(Previous::from),
            bound: Bound::from_bounds(&key.bounds),
        }
    }
}

impl From<PreviousSecret> for Previous {
    fn from(previous: PreviousSecret) -> Self {
        let PreviousSecret { last4, until, used_at } = previous;
        Self { last4, until: rfc3339(until), last_used_at: used_at.map(rfc3339) }
    }
}

impl Bound {
    pub(crate) fn from_bounds(bounds: &KeyBounds) -> Self {
        let limits = KeyLimitsView {
            credits_per_day: bounds.credits_per_day.map(access::Credits::rounded_down),
            requests_per_minute: bounds.requests_per_minute.map(std::num::NonZeroU32::get),
        };
        let networks = bounds.addresses.as_ref();
        Self {
            scopes: KeyScopesView {
                routes: bounds.routes.clone(),
                models: bounds.models.clone(),
                control: bounds.control.map(ControlScope::as_str),
            },
            limits,
            addresses: networks.map(|networks| networks.iter().map(ToString::to_string).collect()),
        }
    }
}
