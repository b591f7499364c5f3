//! What callers say of a key that is to be made, changed or rotated.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::time::Duration;

use access::bounds::network;
use access::{KeyBounds, Plan, Refusal, Timestamp};
use ipnet::IpNet;
use serde::Deserialize;
use store::KeyChange;
use utoipa::ToSchema;

use crate::input::{check_name, nullable};
use crate::moment;
use crate::problem::Problem;

/// How long the secret before a rotation may go on.
const GRACE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewApiKey, example = json!({"label": "laptop", "expires_at": "2027-02-18T00:00:00Z",
    "scopes": {"models": ["openai/*"]}, "limits": {"credits_per_day": 1000, "requests_per_minute": 60},
    "addresses": ["203.0.113.0/24"]}))]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    /// What its owner calls it: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    label: String,
    /// From this moment on it opens nothing (RFC 3339). Default: never.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// What it opens. Default: what its user may use.
    scopes: Option<Scopes>,
    /// Limits of its own; its user's plan holds as well.
    limits: Option<Limits>,
    /// Addresses and networks that it may be used from, at most 64. Default: everywhere.
    #[schema(max_items = 64)]
    addresses: Option<Vec<String>>,
}

/// What of a key shall be another. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ApiKeyChange, example = json!({"label": "build server", "limits": {"credits_per_day": 500}, "addresses": null}))]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// What its owner calls it: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    label: Option<String>,
    /// From this moment on it opens nothing (RFC 3339); null is never.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Option<String>>,
    /// What it opens; null is what its user may use.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Scopes>)]
    scopes: Option<Option<Scopes>>,
    /// Limits of its own; null takes all of them away.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Limits>)]
    limits: Option<Option<Limits>>,
    /// Addresses and networks that it may be used from, at most 64; null is everywhere.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Vec<String>>, max_items = 64)]
    addresses: Option<Option<Vec<String>>>,
}

/// What a key opens. A list that is left out or null bounds nothing, an empty one opens nothing.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = NewApiKeyScopes)]
#[serde(deny_unknown_fields)]
pub(super) struct Scopes {
    /// Names of ordinary routes, at most 64 of at most 200 characters. They say nothing of LLM calls.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Vec<String>>, max_items = 64)]
    routes: Option<Option<Vec<String>>>,
    /// Models as calls name them, at most 64 of at most 200 characters; a `*` at the end stands for the rest of a name. They
    /// say nothing of ordinary routes.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Vec<String>>, max_items = 64)]
    models: Option<Option<Vec<String>>>,
}

/// Limits of a key's own; null is none.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = NewApiKeyLimits)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    /// Credits of a UTC day.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    credits_per_day: Option<Option<u64>>,
    /// Requests a minute.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 2_147_483_647)]
    requests_per_minute: Option<Option<u64>>,
}

/// How a key gets its new secret.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ApiKeyRotation, example = json!({"grace": "1h"}))]
#[serde(deny_unknown_fields)]
pub(super) struct Rotate {
    /// How long the secret before it still opens the key: `90s`, `15m`, `1h`, at most `7d`. Default: not at all.
    #[schema(max_length = 20)]
    grace: Option<String>,
}

impl New {
    /// Label, end and bounds.
    ///
    /// # Errors
    /// `unprocessable`, which names the field.
    pub(super) fn read(self, now: Timestamp) -> Result<(String, Option<Timestamp>, KeyBounds), Problem> {
        let Self { label, expires_at, scopes, limits, addresses } = self;
        let label = label_of(label)?;
        let expires_at = expires_at.map(|text| end(&text, now)).transpose()?;
        let (Scopes { routes, models }, limits) = (scopes.unwrap_or_default(), limits.unwrap_or_default());
        let bounds = KeyBounds {
            credits_per_day: limits.credits_per_day.flatten(),
            requests_per_minute: limits.requests_per_minute.flatten().map(rate).transpose()?,
            routes: routes.flatten(),
            models: models.flatten(),
            addresses: addresses.as_deref().map(networks).transpose()?,
        };
        Ok((label, expires_at, bounds))
    }
}

impl Change {
    /// What is to be different.
    ///
    /// # Errors
    /// `unprocessable`, which names the field.
    pub(super) fn read(self, now: Timestamp) -> Result<KeyChange, Problem> {
        let Self { label, expires_at, scopes, limits, addresses } = self;
        let scopes = or_none(scopes, || Scopes { routes: Some(None), models: Some(None) });
        let limits = or_none(limits, || Limits { credits_per_day: Some(None), requests_per_minute: Some(None) });
        Ok(KeyChange {
            label: label.map(label_of).transpose()?,
            expires_at: each(expires_at, |text| end(&text, now))?,
            credits_per_day: limits.credits_per_day,
            requests_per_minute: each(limits.requests_per_minute, rate)?,
            routes: scopes.routes,
            models: scopes.models,
            addresses: each(addresses, |addresses| networks(&addresses))?,
        })
    }
}

impl Rotate {
    /// How long the secret before it goes on.
    ///
    /// # Errors
    /// `unprocessable`.
    pub(super) fn read(self) -> Result<Duration, Problem> {
        let Some(text) = self.grace else { return Ok(Duration::ZERO) };
        let grace = config::duration(&text).filter(|grace| *grace <= GRACE_MAX);
        grace.ok_or_else(|| unfit("`grace` is a duration of at most 7d: 90s, 15m, 1h"))
    }
}

/// Of what is left out, nothing; of null, what takes all of it away.
fn or_none<T: Default>(asked: Option<Option<T>>, none: impl FnOnce() -> T) -> T {
    asked.map_or_else(T::default, |asked| asked.unwrap_or_else(none))
}

fn each<T, U>(
    asked: Option<Option<T>>,
    read: impl FnOnce(T) -> Result<U, Problem>,
) -> Result<Option<Option<U>>, Problem> {
    asked.map(|asked| asked.map(read).transpose()).transpose()
}

fn label_of(label: String) -> Result<String, Problem> {
    check_name("label", &label).map(|()| label)
}

fn end(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let end = moment::parse(text).filter(|end| *end > now);
    end.ok_or_else(|| unfit("`expires_at` is a moment ahead, in RFC 3339: 2027-02-18T00:00:00Z"))
}

fn rate(requests: u64) -> Result<NonZeroU32, Problem> {
    let rate = u32::try_from(requests).ok().and_then(NonZeroU32::new).filter(|rate| *rate <= Plan::REQUESTS_MAX);
    rate.ok_or_else(|| unfit(format!("`requests_per_minute` is 1 to {}", Plan::REQUESTS_MAX)))
}

fn networks(addresses: &[String]) -> Result<Vec<IpNet>, Problem> {
    let read: Result<Vec<IpNet>, _> = addresses.iter().map(|text| network(text)).collect();
    read.map_err(|unfit| Problem::new(Refusal::Unprocessable, unfit.to_string()))
}

fn unfit(message: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(Refusal::Unprocessable, message)
}
