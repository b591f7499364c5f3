//! A connection on which each request has another route than the one before.

use crate::gateway::Gateway;
use crate::wire::{Client, answer, upstream, values};

const ROUTES: usize = 40;
const REQUESTS: usize = 1_000;

/// Returns the name that a route adds to requests and responses. Every third route adds nothing.
fn added(route: usize) -> Option<String> {
    (!route.is_multiple_of(3)).then(|| format!("r{route}"))
}

#[tokio::test]
async fn a_thousand_changes_of_the_route_carry_nothing_over() {
    let raw = upstream(|sent| (answer(&values(&sent.fields, "x-route").join(" and ")), false)).await;
    let route = |nth: usize| {
        let edits = added(nth).map(|name| {
            format!(
                ", transformations: {{request: {{add_headers: {{X-Route: {name}}}}}, \
                 response: {{add_headers: {{X-Answer: {name}}}}}}}"
            )
        });
        let edits = edits.unwrap_or_default();
        format!("  - {{name: r{nth}, path: {{prefix: /r{nth}}}, upstreams: backend, auth: {{type: none}}{edits}}}\n")
    };
    let routes: String = (0..ROUTES).map(route).collect();
    let gateway = Gateway::plain(&format!(
        "ai: {{enabled: false}}\n\
         rate_limits: []\n\
         upstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]\n\
         routes:\n{routes}",
        raw.address
    ));
    let mut client = Client::connect(&gateway).await;
    for nth in 0..REQUESTS {
        let route = nth * 7 % ROUTES;
        let received = client.call(format!("GET /r{route}/x HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        received.is_answer(&added(route).unwrap_or_default());
        assert_eq!(received.one("x-answer"), added(route).as_deref(), "request {nth}");
        if nth % 10 == 0 {
            client.call("GET /none HTTP/1.1\r\nhost: x\r\n\r\n").await.is_refusal(404, "route_not_found");
        }
    }
    client.half_close().await;
    assert_eq!(client.end().await.rest, "");
}
