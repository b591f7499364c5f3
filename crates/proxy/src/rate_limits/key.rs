//! The key under which a rate limit counts a request: the values of its dimensions.

use std::net::IpAddr;

use access::{Subject, address};
use config::snapshot::LimitDimension;

use crate::account::RequestAccount;
use crate::counted_limits::LimitKey;

/// Returns the key; `None` if the request has no value of a dimension, so that the limit does not apply.
pub(super) fn key(dimensions: &[LimitDimension], account: &RequestAccount) -> Option<LimitKey> {
    let mut key = LimitKey::new();
    for dimension in dimensions {
        match dimension {
            LimitDimension::Address => push_address(&mut key, account.request.client_address()),
            LimitDimension::User => push_user(&mut key, &account.subject)?,
            LimitDimension::Key => push(&mut key, &account.subject.caller()?.key.0.to_be_bytes()),
            LimitDimension::Client => match &account.subject {
                Subject::Key(caller) => {
                    push(&mut key, b"key");
                    push(&mut key, &caller.key.0.to_be_bytes());
                }
                Subject::Anonymous { .. } => push_address(&mut key, account.request.client_address()),
                subject @ (Subject::Token { .. } | Subject::Basic { .. } | Subject::Certificate { .. }) => {
                    push_user(&mut key, subject)?;
                }
            },
            LimitDimension::Header(name) => {
                let values = account.request.head.fields().named(name.as_bytes());
                values.for_each(|value| push(&mut key, value));
                // Marks the end of the values.
                key.push(0);
            }
            LimitDimension::Claim(name) => {
                // Values that are no single text count together, as those of tokens without the claim do.
                let value = account.token.as_ref()?.verified.claims.field_value(name).ok().flatten();
                match value {
                    Some(value) => push(&mut key, value.as_bytes()),
                    None => key.push(0),
                }
            }
            LimitDimension::Route => push(&mut key, account.policy.route.as_bytes()),
            LimitDimension::Global => {}
        }
    }
    Some(key)
}

/// Appends a value so that no two lists of values have one key.
pub(super) fn push(key: &mut LimitKey, value: &[u8]) {
    key.push(1);
    key.extend_from_slice(&u64::try_from(value.len()).unwrap_or(u64::MAX).to_be_bytes());
    key.extend_from_slice(value);
}

fn push_address(key: &mut LimitKey, address: IpAddr) {
    match address::network(address) {
        IpAddr::V4(address) => push(key, &address.octets()),
        IpAddr::V6(address) => push(key, &address.octets()),
    }
}

/// Appends the user of an identity; `None` for an anonymous client.
fn push_user(key: &mut LimitKey, subject: &Subject) -> Option<()> {
    push(key, subject.kind().as_str().as_bytes());
    match subject {
        Subject::Key(caller) => push(key, &caller.user.0.to_be_bytes()),
        Subject::Token { issuer, sub } => {
            push(key, issuer.as_str().as_bytes());
            push(key, sub.as_str().as_bytes());
        }
        Subject::Basic { name } => push(key, name.as_str().as_bytes()),
        Subject::Certificate { subject } => push(key, subject.as_str().as_bytes()),
        Subject::Anonymous { .. } => return None,
    }
    Some(())
}
