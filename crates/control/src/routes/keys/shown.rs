//! A key as answers show it: all but its secret.

use access::{KeyBounds, KeyId};
use serde::Serialize;
use store::{Key, PreviousSecret};
use utoipa::ToSchema;

use crate::moment::rfc3339;

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(in crate::routes) struct Shown {
    /// Its id, which stays when it is rotated.
    #[schema(value_type = Uuid)]
    id: KeyId,
    /// What stands before its underscore.
    prefix: String,
    /// Its last four digits.
    last4: String,
    /// What its owner calls it.
    label: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// From this moment on it opens nothing; null is never.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When it was revoked; null is not.
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
    /// When it was last used, to about a minute; null is never.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    /// The secret before its last rotation; null where there was none.
    previous: Option<Previous>,
    #[serde(flatten)]
    bound: Bound,
}

/// The secret that a key had before its last rotation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreviousSecret)]
struct Previous {
    /// Its last four digits.
    last4: String,
    /// From this moment on it opens nothing.
    #[schema(format = DateTime)]
    until: String,
    /// When it was last used since the rotation, to about a minute; null is never.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

/// What a key is bound to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyBounds)]
pub(in crate::routes) struct Bound {
    scopes: Scopes,
    limits: Limits,
    /// Networks that it may be used from; null is everywhere.
    addresses: Option<Vec<String>>,
}

/// What a key opens; null bounds nothing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyScopes)]
struct Scopes {
    /// Names of ordinary routes.
    routes: Option<Vec<String>>,
    /// Models as calls name them; a `*` at the end stands for the rest of a name.
    models: Option<Vec<String>>,
}

/// Limits of a key's own; null is none. Its user's plan holds as well.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyLimits)]
struct Limits {
    /// Credits of a UTC day.
    credits_per_day: Option<u64>,
    /// Requests a minute.
    requests_per_minute: Option<u32>,
}

impl From<Key> for Shown {
    fn from(key: Key) -> Self {
        Self {
            id: key.id,
            prefix: key.prefix,
            last4: key.last4,
            label: key.label,
            created_at: rfc3339(key.created_at),
            expires_at: key.expires_at.map(rfc3339),
            revoked_at: key.revoked_at.map(rfc3339),
            last_used_at: key.used_at.map(rfc3339),
            previous: key.previous.map(Previous::from),
            bound: Bound::of(&key.bounds),
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
    pub(in crate::routes) fn of(bounds: &KeyBounds) -> Self {
        let limits = Limits {
            credits_per_day: bounds.credits_per_day,
            requests_per_minute: bounds.requests_per_minute.map(std::num::NonZeroU32::get),
        };
        let networks = bounds.addresses.as_ref();
        Self {
            scopes: Scopes { routes: bounds.routes.clone(), models: bounds.models.clone() },
            limits,
            addresses: networks.map(|networks| networks.iter().map(ToString::to_string).collect()),
        }
    }
}
