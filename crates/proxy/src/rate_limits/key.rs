//! The key under which a rate limit counts a request: the values of its dimensions.

use config::snapshot::LimitDimension;
pub(super) use meter::limiter::key::push;
use meter::limiter::key::{LimitKey, push_address, push_client, push_end, push_user};

use crate::account::RequestAccount;

/// Returns the key; `None` if the request has no value of a dimension, so that the limit does not apply.
pub(super) fn key(dimensions: &[LimitDimension], account: &RequestAccount) -> Option<LimitKey> {
    let mut key = LimitKey::new();
    for dimension in dimensions {
        match dimension {
            LimitDimension::Address => push_address(&mut key, account.request.client_address()),
            LimitDimension::User => push_user(&mut key, &account.subject)?,
            LimitDimension::Key => push(&mut key, &account.subject.caller()?.key.0.to_be_bytes()),
            LimitDimension::Client => push_client(&mut key, &account.subject, account.request.client_address())?,
            LimitDimension::Header(name) => {
                let values = account.request.head.fields().named(name.as_bytes());
                values.for_each(|value| push(&mut key, value));
                push_end(&mut key);
            }
            LimitDimension::Claim(name) => {
                // Values that are no single text count together, as those of tokens without the claim do.
                let value = account.token.as_ref()?.verified.claims.field_value(name).ok().flatten();
                match value {
                    Some(value) => push(&mut key, value.as_bytes()),
                    None => push_end(&mut key),
                }
            }
            LimitDimension::Route => push(&mut key, account.policy.route.as_bytes()),
            LimitDimension::Global => {}
        }
    }
    Some(key)
}
