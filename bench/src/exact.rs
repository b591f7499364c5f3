//! The check of every response byte: a response through Tollgate equals the mock's direct response.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::counts::{ProductCounts, drained};
use crate::loader::{Loader, LoaderResponse};
use crate::product::Product;
use crate::scenario::{BenchScenario, Credential};

/// The requests that were sent, and Tollgate's counts of them.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct ResponseCheck {
    pub(crate) sent: u64,
    pub(crate) sent_with_key: u64,
    pub(crate) tokens_answered: u64,
    pub(crate) counted: ProductCounts,
}

impl ResponseCheck {
    /// Whether Tollgate counted exactly the requests that were sent.
    pub(crate) const fn matches(&self) -> bool {
        self.counted.metrics_requests == self.sent
            && self.counted.usage_requests == self.sent_with_key
            && self.counted.usage_tokens == self.tokens_answered
    }
}

/// Sends `rounds` of every kind of request to Tollgate and, with the rewritten model name, directly to the mock. A
/// different response is an error.
pub(crate) async fn pass(product: &Product, mock: SocketAddr, rounds: u32) -> anyhow::Result<ResponseCheck> {
    drained(product).await?;
    let before = ProductCounts::read(product).await?;
    let mut pass = CheckPass {
        open: Loader::connect(product.proxy, None).await?,
        keyed: Loader::connect(product.proxy, Some(&product.key)).await?,
        direct: Loader::connect(mock, None).await?,
        exact: ResponseCheck::default(),
    };
    for round in 0..rounds {
        // Requests with a token have a check of their own, `jwt_row`.
        for scenario in BenchScenario::all().into_iter().filter(|scenario| scenario.credential != Credential::Token) {
            let (body, keyed) = (scenario.body.unwrap_or_default(), scenario.credential == Credential::Key);
            pass.compare(&CheckedRequest { path: scenario.path, body, keyed }).await?;
        }
        pass.compare(&CheckedRequest { path: "/echo/any?round=1", body: noise(round), keyed: true }).await?;
        for path in ["/v1/chat/completions", "/v1/responses", "/v1/messages?beta=true"] {
            for body in questions(round) {
                pass.compare(&CheckedRequest { path, body, keyed: true }).await?;
            }
        }
    }
    drained(product).await?;
    let sent = pass.exact;
    let counted =
        ProductCounts::settle(product, before, |counted| ResponseCheck { counted: *counted, ..sent }.matches()).await?;
    Ok(ResponseCheck { counted, ..sent })
}

struct CheckPass {
    open: Loader,
    keyed: Loader,
    direct: Loader,
    exact: ResponseCheck,
}

struct CheckedRequest {
    path: &'static str,
    body: String,
    keyed: bool,
}

impl CheckPass {
    async fn compare(&mut self, call: &CheckedRequest) -> anyhow::Result<()> {
        let CheckedRequest { path, body, keyed } = call;
        let method = if body.is_empty() { "GET" } else { "POST" };
        let through = if *keyed { &mut self.keyed } else { &mut self.open };
        let response = through.send(method, path, body).await.context(*path)?;
        let expected = self.direct.send(method, path, &body.replace("\"mock/", "\"")).await.context(*path)?;
        ensure!(
            (response.status, &response.body) == (expected.status, &expected.body),
            "{method} {path} through tollgate: {} {:?}, from the mock: {} {:?}, for {body}",
            response.status,
            response.body,
            expected.status,
            expected.body
        );
        for name in ["content-type", "x-body-sha256"] {
            ensure!(response.headers.get(name) == expected.headers.get(name), "{name} differs: {path}");
        }
        self.exact.sent += 1;
        self.exact.sent_with_key += u64::from(*keyed);
        self.exact.tokens_answered += tokens(&expected);
        Ok(())
    }
}

/// A body that is not JSON; its length differs from round to round.
fn noise(round: u32) -> String {
    let length = usize::try_from(round % 97).unwrap_or(0) * 211;
    format!("{round}\r\n\r\n{}", "é {[\u{0}".repeat(length))
}

/// Bodies for an unstreamed and a streamed response, with unusual spacing and unknown fields.
fn questions(round: u32) -> [String; 2] {
    let ask = |stream: &str| {
        let turns = format!(r#"[{{"role":"user","content":"round {round}:  ünïcödé \"quoted\""}}]"#);
        format!(
            "{{ \"model\" :\"mock/echo\",\"max_tokens\":9, \"unknown\":{{\"a\":[1e2,null]}}{stream},\n\
             \"messages\":{turns},\"input\":{turns}}}"
        )
    };
    [ask(""), ask(r#", "stream":true , "stream_options":{"include_usage":true}"#)]
}

/// The tokens of the last usage that a response reports, in any of the three formats.
fn tokens(response: &LoaderResponse) -> u64 {
    let text = String::from_utf8_lossy(&response.body);
    let data = text.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
    let values = data.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut usages = values.filter_map(|value| {
        ["/usage", "/response/usage"].iter().find_map(|at| value.pointer(at).filter(|usage| usage.is_object()).cloned())
    });
    let Some(usage) = usages.next_back() else { return 0 };
    let number = |name: &str| usage.get(name).and_then(Value::as_u64);
    number("total_tokens").unwrap_or_else(|| {
        ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"]
            .iter()
            .filter_map(|name| number(name))
            .sum()
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    #[test]
    fn tokens_are_read_from_the_last_usage() {
        let check = |body: &'static str, expected: u64| {
            let response =
                LoaderResponse { status: 200, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) };
            assert_eq!(tokens(&response), expected, "{body}");
        };
        check("plain", 0);
        check(r#"{"usage":{"total_tokens":5}}"#, 5);
        check("data: {\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"total_tokens\":7}}\n\ndata: [DONE]\n\n", 7);
        check("event: x\ndata: {\"response\":{\"usage\":{\"total_tokens\":9}}}\n\n", 9);
        check(
            "data: {\"type\":\"message_start\"}\n\ndata: {\"usage\":{\"input_tokens\":1,\"cache_read_input_tokens\":2,\
             \"cache_creation_input_tokens\":3,\"output_tokens\":4}}\n\ndata: {\"type\":\"message_stop\"}\n\n",
            10,
        );
    }

    #[test]
    fn bodies_are_json_with_a_prefix_that_can_be_removed() {
        for question in questions(3) {
            let value: Value = serde_json::from_str(&question).unwrap();
            assert_eq!(value["model"], "mock/echo");
            assert_eq!(question.replace("\"mock/", "\"").len() + "mock/".len(), question.len());
        }
    }
}
