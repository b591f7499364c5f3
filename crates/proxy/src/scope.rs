//! What a key is bound to: where it is used from, which routes and which models it opens.
//!
//! Of a key that is not bound, each check is a look at one flag. A refusal says what the key is bound to, but for networks,
//! which would tell a thief where to go; nobody else's names are told.

use access::{KeyBounds, Principal, Refusal};
use http::HeaderMap;

use crate::address;
use crate::answer::Problem;
use crate::exchange::Exchange;

/// Entries of a list that a refusal repeats.
const TOLD_MAX: usize = 8;

/// Refuses a caller who is elsewhere than its key may be used from. `headers` are the caller's own.
pub(crate) fn check_address(exchange: &Exchange, principal: &Principal, headers: &HeaderMap) -> Result<(), Problem> {
    if principal.bounds.addresses.is_none() {
        return Ok(());
    }
    let from = address::of(exchange, headers);
    if principal.bounds.opens_from(from) {
        return Ok(());
    }
    Err(forbidden(format!("this key is bound to networks, and {from} is in none of them")))
}

/// Refuses a key that does not open the ordinary route of this name.
pub(crate) fn check_route(bounds: &KeyBounds, route: &str) -> Result<(), Problem> {
    match &bounds.routes {
        Some(routes) if !bounds.opens_route(route) => {
            Err(forbidden(format!("this key is bound to {}, and this is none of them", told("route", routes))))
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses a key that may not ask for this model, named as the caller wrote it.
pub(crate) fn check_model(bounds: &KeyBounds, model: &str) -> Result<(), Problem> {
    match &bounds.models {
        Some(models) if !bounds.opens_model(model) => {
            Err(forbidden(format!("this key is bound to {}, and {model:?} is none of them", told("model", models))))
        }
        Some(_) | None => Ok(()),
    }
}

fn forbidden(message: String) -> Problem {
    Problem::new(Refusal::Forbidden, message)
}

/// `the models "fast", "openai/*" and 3 more`.
fn told(what: &str, names: &[String]) -> String {
    if names.is_empty() {
        return format!("no {what} at all");
    }
    let shown: Vec<String> = names.iter().take(TOLD_MAX).map(|name| format!("{name:?}")).collect();
    let more = names.len().saturating_sub(TOLD_MAX);
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

    fn told(checked: Result<(), Problem>) -> String {
        let problem = checked.unwrap_err();
        assert_eq!(problem.refusal, Refusal::Forbidden);
        problem.message.into_owned()
    }

    #[test]
    fn a_refusal_says_what_the_key_is_bound_to() {
        let bounds = KeyBounds { routes: names(&["users"]), models: names(&["fast", "o/*"]), ..KeyBounds::default() };
        assert!(check_route(&bounds, "users").is_ok() && check_model(&bounds, "o/gpt").is_ok());
        let route = told(check_route(&bounds, "orders"));
        assert_eq!(route, "this key is bound to the route \"users\", and this is none of them");
        let model = told(check_model(&bounds, "slow"));
        assert_eq!(model, "this key is bound to the models \"fast\", \"o/*\", and \"slow\" is none of them");
        let none = KeyBounds { models: names(&[]), ..KeyBounds::default() };
        assert!(told(check_model(&none, "x")).contains("no model at all") && check_route(&none, "users").is_ok());
        let many = vec!["m"; 64];
        let many = KeyBounds { models: names(&many), ..KeyBounds::default() };
        assert!(told(check_model(&many, "x")).contains("\"m\" and 56 more,"));
    }
}
