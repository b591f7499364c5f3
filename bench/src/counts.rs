//! The counters of Tollgate and of the mock, compared with the requests that were sent; the check of every response byte.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::client::{Loader, LoaderResponse};
use crate::product::Product;
use crate::request::Credential;
use crate::rows::{ROWS, RowKind};

const DRAIN_PATIENCE: Duration = Duration::from_secs(120);
const DRAIN_PAUSE: Duration = Duration::from_millis(100);
/// The time after which a worker has surely reported its aggregated counts.
const FOLD_PATIENCE: Duration = Duration::from_secs(90);

/// The requests that Tollgate counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ProductCounts {
    /// The metric `tollgate_requests_total`, over all routes, methods and statuses.
    pub(crate) metrics_requests: u64,
    /// The field `requests` of `GET /api/usage/today`. It is the count of one key, so it excludes open routes.
    pub(crate) usage_requests: u64,
    /// The field `tokens.total` of the same response.
    pub(crate) usage_tokens: u64,
}

impl ProductCounts {
    pub(crate) async fn read(product: &Product) -> anyhow::Result<Self> {
        let mut loader = Loader::connect(product.control, Some(&product.key)).await?;
        let usage = loader.get("/api/usage/today").await?.json().context("GET /api/usage/today")?;
        let number = |at: &str| {
            usage.pointer(at).and_then(Value::as_u64).with_context(|| format!("the usage response has no {at}"))
        };
        let metrics = metrics(&mut loader).await?;
        Ok(Self {
            metrics_requests: sum(&metrics, "tollgate_requests_total").unwrap_or(0),
            usage_requests: number("/requests")?,
            usage_tokens: number("/tokens/total")?,
        })
    }

    /// The difference from `before`.
    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            metrics_requests: self.metrics_requests.saturating_sub(before.metrics_requests),
            usage_requests: self.usage_requests.saturating_sub(before.usage_requests),
            usage_tokens: self.usage_tokens.saturating_sub(before.usage_tokens),
        }
    }

    /// Waits until `good` is true of the difference from `before`. Returns the last difference even after a timeout.
    pub(crate) async fn settle(product: &Product, before: Self, good: impl Fn(&Self) -> bool) -> anyhow::Result<Self> {
        let deadline = Instant::now() + FOLD_PATIENCE;
        loop {
            let counts = Self::read(product).await?.since(before);
            if good(&counts) || Instant::now() > deadline {
                return Ok(counts);
            }
            sleep(DRAIN_PAUSE).await;
        }
    }
}

/// Waits until the store has every record of the spool.
pub(crate) async fn drained(product: &Product) -> anyhow::Result<()> {
    let mut loader = Loader::connect(product.control, Some(&product.key)).await?;
    let deadline = Instant::now() + DRAIN_PATIENCE;
    loop {
        sleep(DRAIN_PAUSE).await;
        let bytes = sum(&metrics(&mut loader).await?, "tollgate_spool_bytes")
            .context("the metric tollgate_spool_bytes is missing")?;
        if bytes == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the spool still has {bytes} bytes after {} s", DRAIN_PATIENCE.as_secs());
        }
    }
}

/// The current sum of a metric's samples; 0 if it has none.
pub(crate) async fn metric(product: &Product, name: &str) -> anyhow::Result<u64> {
    let mut loader = Loader::connect(product.control, Some(&product.key)).await?;
    Ok(sum(&metrics(&mut loader).await?, name).unwrap_or(0))
}

/// The number of requests that reached the mock.
pub(crate) async fn mock_requests(mock: SocketAddr) -> anyhow::Result<u64> {
    let report = Loader::connect(mock, None).await?.get("/mock/seen").await?.json()?;
    let models = report.get("models").and_then(Value::as_object).context("/mock/seen has no models")?;
    Ok(models.values().filter_map(|model| model.get("requests").and_then(Value::as_u64)).sum())
}

async fn metrics(loader: &mut Loader) -> anyhow::Result<String> {
    let response = loader.get("/metrics").await?;
    if response.status != 200 {
        bail!("GET /metrics: {}", response.status);
    }
    Ok(String::from_utf8_lossy(&response.body).into_owned())
}

/// The sum of a metric's samples; `None` if it has none.
fn sum(metrics: &str, name: &str) -> Option<u64> {
    let samples = metrics.lines().filter_map(|line| {
        let (sample, value) = line.rsplit_once(' ')?;
        let named = sample.strip_prefix(name)?;
        (named.is_empty() || named.starts_with('{')).then(|| value.parse::<u64>().ok())?
    });
    samples.fold(None, |sum: Option<u64>, value| Some(sum.unwrap_or(0) + value))
}

/// The requests that the mock received from one Tollgate, and those that it counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LoadCounts {
    /// The rows of the load.
    pub(crate) what: &'static str,
    pub(crate) forwarded: u64,
    /// The number of those with the key of [`Product::key`].
    pub(crate) forwarded_with_key: u64,
    pub(crate) counted: ProductCounts,
    /// The number of requests that the load generator may have aborted at the end of a run.
    pub(crate) tolerance: u64,
}

impl LoadCounts {
    pub(crate) const fn matches(&self) -> bool {
        self.counted.metrics_requests.abs_diff(self.forwarded) <= self.tolerance
            && self.counted.usage_requests.abs_diff(self.forwarded_with_key) <= self.tolerance
    }

    /// Waits until Tollgate's counts since `before` match. Returns the last ones even after a timeout.
    pub(crate) async fn settle(self, product: &Product, before: ProductCounts) -> anyhow::Result<Self> {
        let of = |counted| Self { counted, ..self };
        Ok(of(ProductCounts::settle(product, before, |counted| of(*counted).matches()).await?))
    }
}

/// The requests that were sent, and Tollgate's counts of them.
#[derive(Debug, Clone, Copy, Default)]
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
pub(crate) async fn check_responses(product: &Product, mock: SocketAddr, rounds: u32) -> anyhow::Result<ResponseCheck> {
    drained(product).await?;
    let before = ProductCounts::read(product).await?;
    let mut pass = CheckPass {
        open: Loader::connect(product.proxy, None).await?,
        keyed: Loader::connect(product.proxy, Some(&product.key)).await?,
        direct: Loader::connect(mock, None).await?,
        exact: ResponseCheck::default(),
    };
    for round in 0..rounds {
        // Rows with a Tollgate of their own have checks of their own, in `sides` and `rounds`.
        for row in ROWS {
            let (request, keyed) = (row.request, row.request.credential == Credential::Key);
            if !row.has_own_tollgate() && matches!(row.kind, RowKind::Proxies(..)) {
                pass.compare(&CheckedRequest { path: request.path, body: request.body(), keyed }).await?;
            }
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
    use super::*;
    use bytes::Bytes;
    use http::HeaderMap;

    #[test]
    fn samples_of_one_metric_are_summed() {
        let text = "# TYPE a counter\na_total{x=\"1 2\"} 3\na_total{x=\"2\"} 4\na_total_more 9\nb 0\n";
        assert_eq!(sum(text, "a_total"), Some(7));
        assert_eq!(sum(text, "b"), Some(0));
        assert_eq!(sum(text, "c"), None);
    }

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
