//! The key under which a rate limit counts a request: the values of its dimensions.

use access::Refusal;
use config::snapshot::{LimitDimension, is_list};
pub(super) use meter::limiter::key::push;
use meter::limiter::key::{LimitKey, push_address, push_client, push_end, push_user};

use super::PhaseValues;
use crate::account::RequestAccount;
use crate::refusal::problem::Problem;

/// Returns the key; `None` if the request has no value of a dimension, so that the limit does not apply. A request that
/// repeats a header that is counted is refused.
pub(super) fn key(
    dimensions: &[LimitDimension],
    account: &RequestAccount,
    phase: &PhaseValues<'_>,
) -> Result<Option<LimitKey>, Problem> {
    for dimension in dimensions {
        if let LimitDimension::Header(name) = dimension {
            check_repeats(account, name)?;
        }
    }
    Ok(counted(dimensions, account, phase))
}

fn counted(dimensions: &[LimitDimension], account: &RequestAccount, phase: &PhaseValues<'_>) -> Option<LimitKey> {
    let mut key = LimitKey::new();
    for dimension in dimensions {
        match dimension {
            LimitDimension::Address => push_address(&mut key, account.request.client_address()),
            LimitDimension::User => push_user(&mut key, &account.identity.subject)?,
            LimitDimension::Key => push(&mut key, &account.identity.subject.caller()?.key.0.to_be_bytes()),
            LimitDimension::Client => {
                push_client(&mut key, &account.identity.subject, account.request.client_address())?;
            }
            LimitDimension::Header(name) => {
                // An upstream may read the first value of a list, so a client evades the limit by no other one.
                if let Some(value) = account.header_values(name).next() {
                    push(&mut key, value);
                }
                push_end(&mut key);
            }
            LimitDimension::Claim(name) => {
                // Values that are no single text count together, as those of tokens without the claim do.
                let value = account.identity.token.as_ref()?.verified.claims.field_value(name).ok().flatten();
                match value {
                    Some(value) => push(&mut key, value.as_bytes()),
                    None => push_end(&mut key),
                }
            }
            LimitDimension::Route => push(&mut key, account.policy().name.as_bytes()),
            LimitDimension::Model => push(&mut key, phase.model?.as_bytes()),
            LimitDimension::Plan => push(&mut key, phase.plan?.as_bytes()),
            LimitDimension::Global => {}
        }
    }
    Some(key)
}

/// Refuses a header that is sent twice, unless its value is a list: each number of repetitions would count apart, and the
/// upstream may read any of the values.
fn check_repeats(account: &RequestAccount, name: &str) -> Result<(), Problem> {
    if is_list(name) || account.header_values(name).nth(1).is_none() {
        return Ok(());
    }
    let message = format!("the header {name} is sent several times, and a rate limit counts by it: send it once");
    Err(Problem::new(Refusal::BadRequest, message))
}
