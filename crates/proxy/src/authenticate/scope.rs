//! The bounds of a key: the networks in which it is valid, and the routes and models that it may use.
//!
//! A refusal lists the key's routes or models, but not its networks: a thief of the key must not learn them.

use access::{KeyBounds, Principal, Refusal};

use crate::account::request::RequestContext;
use crate::refusal::problem::Problem;

/// Maximum number of entries of a list in a refusal.
const LISTED_MAX: usize = 8;

/// Refuses a client whose address is in none of its key's networks.
pub(crate) fn check_address(request: &RequestContext, principal: &Principal) -> Result<(), Problem> {
    if principal.bounds.addresses.is_none() {
        return Ok(());
    }
    let from = request.client_address();
    if principal.bounds.opens_from(from) {
        return Ok(());
    }
    Err(forbidden(format!("this key is bound to networks, and {from} is in none of them")))
}

/// Refuses a key that may not use the ordinary route of this name.
pub(crate) fn check_route(bounds: &KeyBounds, route: &str) -> Result<(), Problem> {
    match &bounds.routes {
        Some(routes) if !bounds.opens_route(route) => {
            Err(forbidden(format!("this key is bound to {}, and this is not one of them", list("route", routes))))
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses a key that may not use this model, by the name in the request.
pub(crate) fn check_model(bounds: &KeyBounds, model: &str) -> Result<(), Problem> {
    match &bounds.models {
        Some(models) if !bounds.opens_model(model) => {
            Err(forbidden(format!("this key is bound to {}, and {model:?} is not one of them", list("model", models))))
        }
        Some(_) | None => Ok(()),
    }
}

fn forbidden(message: String) -> Problem {
    Problem::new(Refusal::Forbidden, message)
}

/// Returns a list such as `the models "fast", "openai/*" and 3 more`.
fn list(what: &str, names: &[String]) -> String {
    if names.is_empty() {
        return format!("no {what} at all");
    }
    let shown: Vec<String> = names.iter().take(LISTED_MAX).map(|name| format!("{name:?}")).collect();
    let more = names.len().saturating_sub(LISTED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let s = if names.len() == 1 { "" } else { "s" };
    format!("the {what}{s} {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn message(checked: Result<(), Problem>) -> String {
        let problem = checked.unwrap_err();
        assert_eq!(problem.refusal, Refusal::Forbidden);
        problem.message.into_owned()
    }

    #[test]
    fn a_refusal_lists_the_bounds_of_the_key() {
        let bounds = KeyBounds { routes: names(&["users"]), models: names(&["fast", "o/*"]), ..KeyBounds::default() };
        assert!(check_route(&bounds, "users").is_ok() && check_model(&bounds, "o/gpt").is_ok());
        let route = message(check_route(&bounds, "orders"));
        assert_eq!(route, "this key is bound to the route \"users\", and this is not one of them");
        let model = message(check_model(&bounds, "slow"));
        assert_eq!(model, "this key is bound to the models \"fast\", \"o/*\", and \"slow\" is not one of them");
        let none = KeyBounds { models: names(&[]), ..KeyBounds::default() };
        assert!(message(check_model(&none, "x")).contains("no model at all") && check_route(&none, "users").is_ok());
        let many = vec!["m"; 64];
        let many = KeyBounds { models: names(&many), ..KeyBounds::default() };
        assert!(message(check_model(&many, "x")).contains("\"m\" and 56 more,"));
    }
}
