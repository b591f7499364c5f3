//! Requests for paths of the admin API and the dashboard, which have another address.

use std::net::IpAddr;

use access::Refusal;
use config::snapshot::Process;

use super::start_page::control_url;
use crate::refusal::phase::EarlyResponse;

/// The paths of control. The paths below them belong to control too.
const PATHS: [&str; 9] =
    ["/api", "/dashboard", "/docs", "/graphql", "/health", "/livez", "/metrics", "/openapi.json", "/readyz"];

/// Adds the address of control to the refusal of a path that no route has, if it is a path of control.
pub(super) fn name_control(
    early: EarlyResponse,
    path: &str,
    process: &Process,
    client_address: impl FnOnce() -> IpAddr,
) -> EarlyResponse {
    match early {
        EarlyResponse::Refuse(mut problem) if problem.refusal == Refusal::RouteNotFound && is_of_control(path) => {
            let place = match control_url(process, client_address) {
                Some(url) => format!("the admin API and the dashboard are at {url}"),
                None => "the admin API and the dashboard have another address (control.listen)".to_owned(),
            };
            problem.message = format!("no route has this path: {place}").into();
            EarlyResponse::Refuse(problem)
        }
        early @ (EarlyResponse::Respond(_) | EarlyResponse::Refuse(_)) => early,
    }
}

fn is_of_control(path: &str) -> bool {
    PATHS
        .iter()
        .any(|of_control| path.strip_prefix(of_control).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_control_are_those_and_what_is_below_them() {
        for path in ["/api", "/api/keys", "/dashboard/", "/metrics", "/docs/errors/forbidden"] {
            assert!(is_of_control(path), "{path}");
        }
        for path in ["/", "/apis", "/v1/api", "/healthy", "/openapi.yaml", ""] {
            assert!(!is_of_control(path), "{path}");
        }
    }
}
