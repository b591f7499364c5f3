//! Request bodies to create, change and rotate keys.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use access::limits::bounds::network;
use access::{ControlScope, Credits, KeyBounds, Plan, Refusal, Timestamp};
use ipnet::IpNet;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use store::KeyChange;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::input::{check_name, nullable};
use crate::message::moment;
use crate::message::problem::Problem;
use crate::nouns::labels_view::{self, LabelsView};

/// The maximum lifetime of a key with the scope `admin`.
const ADMIN_KEY_MAX: Duration = Duration::from_secs(366 * 86_400);
/// The maximum time for which the previous secret stays valid after a rotation.
const GRACE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// A key to create.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewApiKey, example = json!({"label": "laptop", "expires_at": "2027-02-18T00:00:00Z",
    "scopes": {"models": ["openai/*"]}, "limits": {"credits_per_day": 1000, "requests_per_minute": 60},
    "addresses": ["203.0.113.0/24"]}))]
#[serde(deny_unknown_fields)]
pub(super) struct NewKeyRequest {
    /// The label of the key: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    label: String,
    /// The expiry (RFC 3339). Default: the key does not expire.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The user of the key; only for admins. Default: the authenticated user.
    user_id: Option<Uuid>,
    /// The routes and models that the key may use (default: everything that its user may use), or `["admin"]`: a key that
    /// calls what admins call. Only an admin who signed in with a password may create such a key. It requires
    /// `expires_at`, and has no other limits than `addresses`.
    scopes: Option<NewKeyScope>,
    /// The key's own limits; the user's plan applies as well.
    limits: Option<NewKeyLimits>,
    /// Addresses and networks that the key may be used from, at most 64. Default: all addresses.
    #[schema(max_items = 64)]
    addresses: Option<Vec<String>>,
}

/// Changes of a key. Missing fields stay unchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ApiKeyChange, example = json!({"label": "build server", "limits": {"credits_per_day": 500}, "addresses": null}))]
#[serde(deny_unknown_fields)]
pub(super) struct KeyChangeRequest {
    /// The label of the key: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    label: Option<String>,
    /// The expiry (RFC 3339); null removes it.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Option<String>>,
    /// The routes and models that the key may use; null means everything that its user may use.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<NewKeyScopes>)]
    scopes: Option<Option<NewKeyScopes>>,
    /// The key's own limits; null removes all of them.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<NewKeyLimits>)]
    limits: Option<Option<NewKeyLimits>>,
    /// Addresses and networks that the key may be used from, at most 64; null means all addresses.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Vec<String>>, max_items = 64)]
    addresses: Option<Option<Vec<String>>>,
    /// The labels of the key's requests by name, at most 8; they replace all earlier ones. Only admins change them.
    labels: Option<LabelsView>,
}

/// The routes and models that a key may use. A missing list or null permits everything, an empty list permits nothing.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = NewApiKeyScopes)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKeyScopes {
    /// Names of plain routes, at most 64 of at most 200 characters each. They do not restrict LLM requests.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Vec<String>>, max_items = 64)]
    routes: Option<Option<Vec<String>>>,
    /// Models as requests name them, at most 64 of at most 200 characters each. A `*` at the end matches the rest of a
    /// name. They do not restrict plain routes.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Vec<String>>, max_items = 64)]
    models: Option<Option<Vec<String>>>,
    /// What the key may call of the admin API: `none`, `self` (its own usage, limits and models) or `read` (everything that
    /// its user may read). Default and null: `self` if the key has another restriction, otherwise everything. A key with
    /// this scope changes nothing.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    control: Option<Option<ControlScope>>,
}

/// The own limits of a key; null means no limit.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = NewApiKeyLimits)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKeyLimits {
    /// The maximum number of credits per UTC day.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    credits_per_day: Option<Option<u64>>,
    /// The maximum number of requests per minute.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 2_147_483_647)]
    requests_per_minute: Option<Option<u64>>,
}

/// The scopes of a new key.
#[derive(Debug, ToSchema)]
#[schema(as = NewApiKeyScope)]
#[serde(untagged)]
pub(super) enum NewKeyScope {
    /// The routes and models that the key may use.
    Uses(NewKeyScopes),
    /// The list `["admin"]`: the key calls what admins call.
    #[schema(example = json!(["admin"]))]
    Named(Vec<String>),
}

impl<'de> Deserialize<'de> for NewKeyScope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EitherForm;

        impl<'de> Visitor<'de> for EitherForm {
            type Value = NewKeyScope;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or a list")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<NewKeyScope, A::Error> {
                NewKeyScopes::deserialize(MapAccessDeserializer::new(map)).map(NewKeyScope::Uses)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<NewKeyScope, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(NewKeyScope::Named)
            }
        }

        deserializer.deserialize_any(EitherForm)
    }
}

/// A new key, whose fields are valid.
pub(super) struct CheckedNewKey {
    pub(super) user_id: Option<Uuid>,
    pub(super) label: String,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) bounds: KeyBounds,
    pub(super) is_admin: bool,
}

/// Options of a rotation.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ApiKeyRotation, example = json!({"grace": "1h"}))]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRotationRequest {
    /// The time for which the previous secret stays valid: `90s`, `15m`, `1h`, at most `7d`. Default: it becomes
    /// invalid at once.
    #[schema(max_length = 20)]
    grace: Option<String>,
}

impl NewKeyRequest {
    /// Validates label, expiry and restrictions.
    ///
    /// # Errors
    /// `unprocessable`, which names the field.
    pub(super) fn read(self, now: Timestamp) -> Result<CheckedNewKey, Problem> {
        let Self { user_id, label, expires_at, scopes, limits, addresses } = self;
        let label = label_of(label)?;
        let expires_at = expires_at.map(|text| end(&text, now)).transpose()?;
        let (NewKeyScopes { routes, models, control }, is_admin) = match scopes {
            None => (NewKeyScopes::default(), false),
            Some(NewKeyScope::Uses(scopes)) => (scopes, false),
            Some(NewKeyScope::Named(names)) => {
                if names.iter().map(String::as_str).ne(["admin"]) {
                    return Err(unfit(
                        "`scopes` must be an object with `routes` and `models`, or the list [\"admin\"]",
                    ));
                }
                check_admin(expires_at, limits.is_some(), user_id.is_some(), now)?;
                // Such a key sends no requests to upstreams and providers.
                let nothing = Some(Some(Vec::new()));
                (NewKeyScopes { routes: nothing.clone(), models: nothing, control: None }, true)
            }
        };
        let limits = limits.unwrap_or_default();
        let bounds = KeyBounds {
            credits_per_day: limits.credits_per_day.flatten().map(Credits::whole),
            requests_per_minute: limits.requests_per_minute.flatten().map(rate).transpose()?,
            routes: routes.flatten(),
            models: models.flatten(),
            addresses: addresses.as_deref().map(networks).transpose()?,
            control: control.flatten(),
        };
        Ok(CheckedNewKey { user_id, label, expires_at, bounds, is_admin })
    }
}

/// Checks the fields of a key with the scope `admin`.
fn check_admin(expires_at: Option<Timestamp>, has_limits: bool, has_user: bool, now: Timestamp) -> Result<(), Problem> {
    if has_limits || has_user {
        return Err(unfit("a key with the scope `admin` takes no `limits` and no `user_id`"));
    }
    if expires_at.is_none_or(|end| end > now.after(ADMIN_KEY_MAX)) {
        return Err(unfit("a key with the scope `admin` needs `expires_at`, at most 366 days from now"));
    }
    Ok(())
}

impl KeyChangeRequest {
    /// Refuses changes that would remove the bounds of a key with the scope `admin`.
    ///
    /// # Errors
    /// `unprocessable`, which names the field.
    pub(super) fn check_of_admin(change: &KeyChange, now: Timestamp) -> Result<(), Problem> {
        let KeyChange {
            label: _,
            addresses: _,
            labels: _,
            expires_at,
            credits_per_day,
            requests_per_minute,
            routes,
            models,
            control,
        } = change;
        let has_limits = credits_per_day.is_some() || requests_per_minute.is_some();
        if has_limits || routes.is_some() || models.is_some() || control.is_some() {
            return Err(unfit("a key with the scope `admin` takes no `scopes` and no `limits`"));
        }
        match expires_at {
            None => Ok(()),
            Some(end) => check_admin(*end, false, false, now),
        }
    }

    /// Validates the changes.
    ///
    /// # Errors
    /// `unprocessable`, which names the field.
    pub(super) fn read(self, now: Timestamp) -> Result<KeyChange, Problem> {
        let Self { label, expires_at, scopes, limits, addresses, labels } = self;
        let scopes = or_none(scopes, || NewKeyScopes { routes: Some(None), models: Some(None), control: Some(None) });
        let limits = or_none(limits, || NewKeyLimits { credits_per_day: Some(None), requests_per_minute: Some(None) });
        Ok(KeyChange {
            label: label.map(label_of).transpose()?,
            expires_at: each(expires_at, |text| end(&text, now))?,
            credits_per_day: limits.credits_per_day.map(|limit| limit.map(Credits::whole)),
            requests_per_minute: each(limits.requests_per_minute, rate)?,
            routes: scopes.routes,
            models: scopes.models,
            addresses: each(addresses, |addresses| networks(&addresses))?,
            control: scopes.control,
            labels: labels.as_ref().map(labels_view::read).transpose()?,
        })
    }
}

impl KeyRotationRequest {
    /// Returns the time for which the previous secret stays valid.
    ///
    /// # Errors
    /// `unprocessable` for an invalid duration.
    pub(super) fn read(self) -> Result<Duration, Problem> {
        let Some(text) = self.grace else { return Ok(Duration::ZERO) };
        let grace = config::duration(&text).filter(|grace| *grace <= GRACE_MAX);
        grace.ok_or_else(|| unfit("`grace` must be a duration of at most 7d, such as 90s, 15m or 1h"))
    }
}

/// Returns `none` for null, and the default (no change) for a missing field.
fn or_none<T: Default>(value: Option<Option<T>>, none: impl FnOnce() -> T) -> T {
    value.map_or_else(T::default, |value| value.unwrap_or_else(none))
}

fn each<T, U>(
    value: Option<Option<T>>,
    read: impl FnOnce(T) -> Result<U, Problem>,
) -> Result<Option<Option<U>>, Problem> {
    value.map(|value| value.map(read).transpose()).transpose()
}

fn label_of(label: String) -> Result<String, Problem> {
    check_name("label", &label).map(|()| label)
}

fn end(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let end = moment::parse(text).filter(|end| *end > now);
    end.ok_or_else(|| unfit("`expires_at` must be a future time in RFC 3339, such as 2027-02-18T00:00:00Z"))
}

fn rate(requests: u64) -> Result<NonZeroU32, Problem> {
    let rate = u32::try_from(requests).ok().and_then(NonZeroU32::new).filter(|rate| *rate <= Plan::REQUESTS_MAX);
    rate.ok_or_else(|| unfit(format!("`requests_per_minute` must be 1 to {}", Plan::REQUESTS_MAX)))
}

fn networks(addresses: &[String]) -> Result<Vec<IpNet>, Problem> {
    let read: Result<Vec<IpNet>, _> = addresses.iter().map(|text| network(text)).collect();
    read.map_err(|unfit| Problem::new(Refusal::Unprocessable, unfit.to_string()))
}

fn unfit(message: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(Refusal::Unprocessable, message)
}
