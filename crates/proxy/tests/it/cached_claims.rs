//! Cached routes whose responses depend on headers of claims.

use crate::gateway::Gateway;
use crate::tokens::{SECRET, call, of_ada};
use crate::wire;

#[tokio::test]
async fn no_client_gets_the_response_of_a_claim_that_it_sends_itself() {
    let raw = wire::upstream(|sent| {
        let team = sent.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-team"));
        (wire::answer(team.map_or("none", |(_, value)| value)), false)
    })
    .await;
    let gateway = Gateway::plain(&format!(
        "rate_limits: []
auth: [{{name: hmac, type: jwt, algorithms: [HS256], secret: {SECRET}, audience: [api], claims_to_headers: {{team: X-Team}}}}]
upstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]
routes:
  - path: {{prefix: /s}}
    auth: {{type: jwt, use: hmac}}
    upstreams: backend
    cache: {{ttl: 60s, shared: true, vary: [X-Team]}}
",
        raw.address
    ));
    for (claims, fields, team, cached) in [
        (r#","team":"red""#, "", "red", "fwd=miss"),
        (r#","team":"red","n":1"#, "", "red", "; hit"),
        (r#","team":"blue""#, "", "blue", "fwd=miss"),
        ("", "X-Team: red\r\n", "none", "fwd=miss"),
    ] {
        let fields = format!("{fields}authorization: Bearer {}\r\n", of_ada(claims));
        let (status, answer) = call(&gateway, "/s/1", &fields).await;
        assert_eq!(status, 200, "{answer}");
        assert!(answer.ends_with(team) && answer.contains(cached), "{claims} {answer}");
    }
}
