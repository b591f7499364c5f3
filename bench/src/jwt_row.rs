//! The row of requests with access tokens: another Tollgate, a check of the claims that the upstream receives, and the runs.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::counts::ProductCounts;
use crate::load_counts::LoadCounts;
use crate::loader::Loader;
use crate::order::Side;
use crate::product::{LIMITED, Product, ProductFiles, ServerSettings, ServerVariant};
use crate::rounds::{Bench, Recorder, ScenarioResult};
use crate::scenario::BenchScenario;
use crate::token_issuer::{CLAIMS, TokenIssuer};
use crate::wrk::Wrk;

/// Measures the row on another Tollgate than that of `bench`, whose configuration has no issuer.
pub(crate) async fn measure(
    bench: &Bench<'_>,
    program: &Path,
    issuer: &TokenIssuer,
    recorder: &mut Recorder,
) -> anyhow::Result<(ScenarioResult, LoadCounts)> {
    let (dir, scenario) = (tempfile::tempdir()?, BenchScenario::jwt());
    let (data, name) = (dir.path().join("data"), "tollgate-jwt");
    let server = ServerSettings { variant: ServerVariant::Tokens, ..ServerSettings::COMPARED };
    let places = ProductFiles { program, data: &data, out: bench.out, name, url: None, limits: LIMITED, server };
    let product = Product::start(&places, bench.mock.address).await?;
    let token = issuer.token()?;
    let wrk = Wrk { keys: std::slice::from_ref(&token), ..bench.wrk };
    let bench = Bench { product: &product, wrk, ..*bench };
    for side in [Side::Tollgate, Side::Envoy] {
        if side == Side::Tollgate || bench.references.get(side).is_some() {
            check(&bench, &scenario, side).await.context(side.name())?;
        }
    }
    let before = ProductCounts::read(&product).await?;
    let result = bench.measure(&scenario, recorder).await?;
    let counts = bench.counts(scenario.name, std::slice::from_ref(&result));
    Ok((result, counts.settle(&product, before).await?))
}

/// Checks that the upstream receives the claims but not the token, and that a token with another signature is refused.
async fn check(bench: &Bench<'_>, scenario: &BenchScenario, side: Side) -> anyhow::Result<()> {
    let token = bench.wrk.keys.first().context("internal error: no token")?;
    let mut loader = Loader::connect(bench.address(side, scenario)?, Some(token)).await?;
    let response = loader.get(scenario.path).await?;
    ensure!(response.status == 200, "the status is {}: {:?}", response.status, response.body);
    let seen = Loader::connect(bench.mock.address, None).await?.get("/mock/seen").await?.json()?;
    let headers = seen.pointer("/models/plain/headers").context("/mock/seen has no headers")?;
    for (claim, header, value) in CLAIMS {
        let received = headers.get(header.to_ascii_lowercase()).and_then(Value::as_str);
        ensure!(
            received == Some(value),
            "the upstream received {received:?} as {header}, the claim {claim}: {headers}"
        );
    }
    ensure!(headers.get("authorization").is_none(), "the upstream received the token");
    let forged = forged(token).context("the token has no signature")?;
    let refused = loader.send_as(Some(&forged), "GET", scenario.path, "").await?;
    ensure!(refused.status == 401, "the status of a forged token is {}", refused.status);
    Ok(())
}

/// Returns the token with another first character of its signature.
fn forged(token: &str) -> Option<String> {
    let (signed, signature) = token.rsplit_once('.')?;
    let first = if signature.starts_with('A') { "B" } else { "A" };
    Some(format!("{signed}.{first}{}", signature.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_token_has_another_signature_of_the_same_length() {
        assert_eq!(forged("a.b.Abc").as_deref(), Some("a.b.Bbc"));
        assert_eq!(forged("a.b.xbc").as_deref(), Some("a.b.Abc"));
        assert_eq!(forged("a"), None);
    }
}
