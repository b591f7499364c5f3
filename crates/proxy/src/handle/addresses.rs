//! The check of the client's address against the rules of the route.

use access::Refusal;

use crate::account::RequestAccount;
use crate::refusal::problem::Problem;

/// Refuses a client whose address the route does not accept.
pub(super) fn check(account: &RequestAccount) -> Result<(), Problem> {
    let Some(rules) = &account.policy().addresses else { return Ok(()) };
    let from = account.request.client_address();
    if rules.accepts(from) {
        return Ok(());
    }
    Err(Problem::new(Refusal::Forbidden, format!("this route does not accept requests from {from}")))
}
