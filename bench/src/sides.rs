//! The sides of a row: the server under load, its requests and credentials, and Tollgate's counts.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, ensure};
use http::HeaderValue;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::client::Loader;
use crate::counts::{LoadCounts, ProductCounts, metric, mock_requests};
use crate::database::BenchDatabase;
use crate::people;
use crate::process::CpuAccount;
use crate::product::{MockProcess, PLAN, Product, ProductStart, ServerVariant};
use crate::proxies::{Listener, Proxy, ProxyKind};
use crate::request::{BenchRequest, Credential};
use crate::rows::{KEYS, PairKind, Row, RowKind};
use crate::span_receiver;
use crate::tokens::{CLAIMS, TokenIssuer};

/// The time in which all log lines of a run are written.
const LINES_PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// One side while it runs.
pub(crate) struct Side<'a> {
    pub(crate) name: &'static str,
    pub(crate) server: SideServer<'a>,
    pub(crate) address: SocketAddr,
    pub(crate) request: BenchRequest,
    pub(crate) keys: SideKeys,
    /// The PostgreSQL of the side.
    pub(crate) database: Option<&'a BenchDatabase>,
    pub(crate) log: Option<LogCheck>,
}

pub(crate) enum SideServer<'a> {
    Proxy(&'a Proxy),
    Tollgate(Rc<CountedProduct>),
}

/// The credentials of a side's requests.
pub(crate) enum SideKeys {
    /// None, or several that are used in turn.
    Listed(Vec<String>),
    /// New access tokens, which are signed before each run.
    NewTokens,
}

/// The log lines of all runs of a side, whose level is `info` or `warn`.
pub(crate) struct LogCheck {
    level: &'static str,
    pub(crate) counts: Cell<LineCounts>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LineCounts {
    pub(crate) requests: u64,
    pub(crate) written: u64,
    pub(crate) dropped: u64,
}

/// A Tollgate, and the requests that it forwarded.
pub(crate) struct CountedProduct {
    pub(crate) product: Product,
    backends: Vec<SocketAddr>,
    before: ProductCounts,
    counts: Cell<LoadCounts>,
}

impl CountedProduct {
    pub(crate) async fn new(product: Product, backends: Vec<SocketAddr>) -> anyhow::Result<Rc<Self>> {
        let before = ProductCounts::read(&product).await?;
        Ok(Rc::new(Self { product, backends, before, counts: Cell::default() }))
    }

    /// The requests that the backends have received.
    pub(crate) async fn reached(&self) -> anyhow::Result<u64> {
        let mut sum = 0;
        for backend in &self.backends {
            sum += mock_requests(*backend).await?;
        }
        Ok(sum)
    }

    /// Adds forwarded requests, of which `open` may have been aborted at the end of a run.
    pub(crate) fn add(&self, forwarded: u64, with_key: bool, open: u64) {
        let mut counts = self.counts.get();
        counts.forwarded += forwarded;
        counts.forwarded_with_key += if with_key { forwarded } else { 0 };
        counts.tolerance += open;
        self.counts.set(counts);
    }

    /// Compares the forwarded requests with Tollgate's counts.
    pub(crate) async fn settle(&self, what: &'static str) -> anyhow::Result<LoadCounts> {
        LoadCounts { what, ..self.counts.get() }.settle(&self.product, self.before).await
    }
}

impl<'a> Side<'a> {
    pub(crate) fn tollgate(name: &'static str, counted: Rc<CountedProduct>, request: BenchRequest) -> Self {
        let keys = if request.credential == Credential::None { vec![] } else { vec![counted.product.key.clone()] };
        let (address, server) = (counted.product.proxy, SideServer::Tollgate(counted));
        Self { name, server, address, request, keys: SideKeys::Listed(keys), database: None, log: None }
    }

    /// A proxy, whose requests have the same keys as those of `like`.
    fn proxy(name: &'static str, proxy: &'a Proxy, address: SocketAddr, like: &Self) -> Self {
        let keys = match &like.keys {
            SideKeys::Listed(keys) => keys.clone(),
            SideKeys::NewTokens => Vec::new(),
        };
        let (server, request, keys) = (SideServer::Proxy(proxy), like.request, SideKeys::Listed(keys));
        Self { name, server, address, request, keys, database: None, log: None }
    }

    /// Another side of the same Tollgate.
    fn again(&self, name: &'static str, request: BenchRequest) -> anyhow::Result<Self> {
        Ok(Self::tollgate(name, self.counted().context("internal error: no Tollgate")?.clone(), request))
    }

    fn with(self, keys: SideKeys) -> Self {
        Self { keys, ..self }
    }

    pub(crate) fn counted(&self) -> Option<&Rc<CountedProduct>> {
        match &self.server {
            SideServer::Proxy(_) => None,
            SideServer::Tollgate(counted) => Some(counted),
        }
    }

    pub(crate) fn account(&self) -> &CpuAccount {
        match &self.server {
            SideServer::Proxy(proxy) => &proxy.group.account,
            SideServer::Tollgate(counted) => &counted.product.group.account,
        }
    }

    /// Whether all requests have the key of the usage that is counted.
    pub(crate) fn has_counted_key(&self) -> bool {
        let own = self.counted().map(|counted| &counted.product.key);
        self.request.credential == Credential::Key
            && matches!(&self.keys, SideKeys::Listed(keys) if keys.iter().map(Some).eq([own]))
    }
}

impl LogCheck {
    /// Empties the log. Returns the number of lines that were dropped before.
    pub(crate) async fn begin(product: &Product) -> anyhow::Result<u64> {
        File::options().write(true).open(&product.log)?.set_len(0)?;
        metric(product, "tollgate_log_lines_dropped_total").await
    }

    /// Waits until a line per request is written or dropped. It is an error if not, or if `warn` writes them.
    pub(crate) async fn end(&self, product: &Product, requests: u64, dropped_before: u64) -> anyhow::Result<()> {
        let deadline = Instant::now() + LINES_PATIENCE;
        loop {
            let dropped = metric(product, "tollgate_log_lines_dropped_total").await? - dropped_before;
            let written = lines(&product.log)?;
            if self.level == "warn" {
                ensure!(written < requests, "level warn logs requests: {written} lines");
                return Ok(());
            }
            if written + dropped >= requests {
                let LineCounts { requests: all, written: lines, dropped: lost } = self.counts.get();
                let (requests, written, dropped) = (all + requests, lines + written, lost + dropped);
                self.counts.set(LineCounts { requests, written, dropped });
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{requests} requests, {written} lines written, {dropped} dropped");
            sleep(PAUSE).await;
        }
    }
}

fn lines(file: &Path) -> anyhow::Result<u64> {
    let (mut reader, mut line, mut lines) = (BufReader::with_capacity(1 << 20, File::open(file)?), Vec::new(), 0);
    while reader.read_until(b'\n', &mut line)? > 0 {
        lines += u64::from(line.ends_with(b"\n"));
        line.clear();
    }
    Ok(lines)
}

/// Checks that a side compresses its response.
async fn check_gzip(side: &Side<'_>) -> anyhow::Result<()> {
    let mut loader = Loader::connect(side.address, None).await?;
    loader.headers = side.request.headers;
    let response = loader.get(side.request.path).await?;
    let coding = response.headers.get("content-encoding").map(HeaderValue::as_bytes);
    ensure!(response.status == 200 && coding == Some(b"gzip"), "{:?}", response.headers);
    side.counted().into_iter().for_each(|counted| counted.add(1, false, 0));
    Ok(())
}

/// The programs from which rows build their sides.
#[derive(Clone, Copy)]
pub(crate) struct SideStart<'a> {
    pub(crate) program: &'a Path,
    pub(crate) mock: &'a MockProcess,
    /// The backend with TLS, which forwards to the mock.
    pub(crate) origin: SocketAddr,
    pub(crate) proxies: &'a BTreeMap<ProxyKind, Proxy>,
    /// The Tollgate of the rows beside proxies.
    pub(crate) main: &'a Rc<CountedProduct>,
    pub(crate) issuer: &'a TokenIssuer,
    pub(crate) out: &'a Path,
    /// The folder of the data of further Tollgates.
    pub(crate) dir: &'a Path,
}

impl<'a> SideStart<'a> {
    /// Starts the sides of a row, Tollgate last. `second` is the second backend of the row that needs one.
    pub(crate) async fn sides(&self, row: &Row, second: Option<&MockProcess>) -> anyhow::Result<Vec<Side<'a>>> {
        let pair = match row.kind {
            RowKind::Proxies(proxies, _) => return self.beside(row, proxies).await,
            RowKind::Pair(pair, _) => pair,
        };
        let usual = async |name| self.tollgate(row, name, ServerVariant::Usual).await;
        Ok(match pair {
            PairKind::Routes(few, many) => vec![
                self.tollgate(row, "10 routes", ServerVariant::Routes(few)).await?,
                self.tollgate(row, "10,000 routes", ServerVariant::Routes(many)).await?,
            ],
            PairKind::Backends => {
                let second = second.context("internal error: no second backend")?;
                let both = ServerVariant::Backends(second.address);
                vec![usual("one backend").await?, self.tollgate(row, "two backends", both).await?]
            }
            PairKind::Targets => vec![
                self.tollgate(row, "one target", ServerVariant::Targets(1)).await?,
                self.tollgate(row, "two targets", ServerVariant::Targets(2)).await?,
            ],
            PairKind::Rate => {
                let plain = usual("plain").await?;
                let keyed = plain.again("with a key", BenchRequest::KEYED)?;
                vec![plain, keyed]
            }
            PairKind::Keys => {
                let (one, many) = (usual("one key").await?, usual("10,000 keys").await?);
                let store = BenchDatabase::kept(&self.data(many.name))?.open().await?;
                let keys = people::callers(&store, PLAN, KEYS).await?;
                store.close().await;
                vec![one, many.with(SideKeys::Listed(keys))]
            }
            PairKind::Cold => {
                let cached = self.tollgate(row, "cached token", ServerVariant::Tokens).await?;
                let cached = cached.with(SideKeys::Listed(vec![self.issuer.token()?]));
                let new = cached.again("new tokens", row.request)?.with(SideKeys::NewTokens);
                vec![cached, new]
            }
            PairKind::Traces(sample) => {
                let traced = ServerVariant::Traces(sample, span_receiver::start().await?);
                vec![usual("no traces").await?, self.tollgate(row, "traces", traced).await?]
            }
            PairKind::LogLevel => vec![
                self.tollgate(row, "warn", ServerVariant::Log("warn")).await?,
                self.tollgate(row, "info", ServerVariant::Log("info")).await?,
            ],
        })
    }

    /// The proxies that run, and Tollgate. Requests with a token need another Tollgate, whose configuration has the issuer.
    async fn beside(&self, row: &Row, kinds: &[ProxyKind]) -> anyhow::Result<Vec<Side<'a>>> {
        let is_token = row.request.credential == Credential::Token;
        let mut tollgate = match row.variant() {
            Some(variant) => self.tollgate(row, "tollgate", variant).await?,
            None => Side::tollgate("tollgate", self.main.clone(), row.request),
        };
        if is_token {
            tollgate = tollgate.with(SideKeys::Listed(vec![self.issuer.token()?]));
        }
        let mut sides = Vec::new();
        for (kind, proxy) in self.proxies.iter().filter(|(kind, _)| kinds.contains(kind)) {
            // Proxies that verify no tokens forward requests with a token as all others.
            let address = proxy.listener(row.listener).or_else(|_| proxy.listener(Listener::Plain))?;
            let side = Side::proxy(kind.name(), proxy, address, &tollgate);
            if is_token && *kind == ProxyKind::Envoy {
                self.check_token(&side).await.context(side.name)?;
            }
            sides.push(side);
        }
        if is_token {
            self.check_token(&tollgate).await.context("tollgate")?;
        }
        sides.push(tollgate);
        for side in &sides {
            match row.listener {
                Listener::Edited => self.check_edits(side).await.context(side.name)?,
                Listener::Cached => self.check_hit(side).await.context(side.name)?,
                Listener::Gzip => check_gzip(side).await.context(side.name)?,
                Listener::Plain
                | Listener::Resilient
                | Listener::Stream
                | Listener::Http2
                | Listener::Tls
                | Listener::TlsBoth
                | Listener::Jwt
                | Listener::Grpc
                | Listener::Socket => {}
            }
        }
        Ok(sides)
    }

    async fn tollgate(&self, row: &Row, name: &'static str, variant: ServerVariant) -> anyhow::Result<Side<'a>> {
        let (data, file) = (self.data(name), format!("{}-{}", row.name, file_name(name)));
        let start = ProductStart { variant, ..ProductStart::new(self.program, &data, self.out, &file) };
        let backend = if variant == ServerVariant::TlsBoth { self.origin } else { self.mock.address };
        let product = start.run(backend).await.context(name)?;
        let mut backends = vec![self.mock.address];
        let mut log = None;
        match variant {
            ServerVariant::Backends(second) => backends.push(second),
            ServerVariant::Log(level) => log = Some(LogCheck { level, counts: Cell::default() }),
            ServerVariant::Usual
            | ServerVariant::Targets(_)
            | ServerVariant::Series
            | ServerVariant::Members(_)
            | ServerVariant::Routes(_)
            | ServerVariant::Tls
            | ServerVariant::TlsBoth
            | ServerVariant::Tokens
            | ServerVariant::Protocols
            | ServerVariant::Responses
            | ServerVariant::Traces(..)
            | ServerVariant::Resilient => {}
        }
        let counted = CountedProduct::new(product, backends).await?;
        Ok(Side { log, ..Side::tollgate(name, counted, row.request) })
    }

    /// The data folder of the Tollgate of a side.
    fn data(&self, name: &str) -> PathBuf {
        self.dir.join(file_name(name))
    }

    /// The headers of the last request that the mock received.
    async fn seen(&self) -> anyhow::Result<Value> {
        let seen = Loader::connect(self.mock.address, None).await?.get("/mock/seen").await?.json()?;
        seen.pointer("/models/plain/headers").cloned().context("/mock/seen has no headers")
    }

    /// Checks that a side makes the edits of [`Listener::Edited`].
    async fn check_edits(&self, side: &Side<'_>) -> anyhow::Result<()> {
        let mut loader = Loader::connect(side.address, None).await?;
        loader.headers = side.request.headers;
        let response = loader.get(side.request.path).await?;
        let (seen, received) = (self.seen().await?, |name| response.headers.get(name).map(HeaderValue::as_bytes));
        ensure!(
            seen.get("x-tenant").is_some_and(|value| value == "acme")
                && seen.get("x-source").is_some_and(|value| value == "gateway")
                && seen.get("x-internal").is_none(),
            "the upstream received {seen}"
        );
        ensure!(
            received("x-frame-options") == Some(b"DENY")
                && received("x-content-type-options") == Some(b"nosniff")
                && received("cache-control") == Some(b"no-store"),
            "{response:?}"
        );
        side.counted().into_iter().for_each(|counted| counted.add(1, false, 0));
        Ok(())
    }

    /// Checks that the second of two requests does not reach the backend.
    async fn check_hit(&self, side: &Side<'_>) -> anyhow::Result<()> {
        let mut loader = Loader::connect(side.address, None).await?;
        loader.get(side.request.path).await?;
        let before = mock_requests(self.mock.address).await?;
        let response = loader.get(side.request.path).await?;
        ensure!(response.status == 200 && response.body.len() == 4_096, "{response:?}");
        ensure!(mock_requests(self.mock.address).await? == before, "the response is not stored");
        side.counted().into_iter().for_each(|counted| counted.add(2, false, 0));
        Ok(())
    }

    /// Checks that the upstream receives the claims but not the token, and that a token with another signature is refused.
    async fn check_token(&self, side: &Side<'_>) -> anyhow::Result<()> {
        let SideKeys::Listed(keys) = &side.keys else { anyhow::bail!("internal error: no token") };
        let (token, path) = (keys.first().context("internal error: no token")?, side.request.path);
        let mut loader = Loader::connect(side.address, Some(token)).await?;
        let response = loader.get(path).await?;
        ensure!(response.status == 200, "the status is {}: {:?}", response.status, response.body);
        let headers = self.seen().await?;
        for (claim, header, value) in CLAIMS {
            let received = headers.get(header.to_ascii_lowercase()).and_then(Value::as_str);
            ensure!(received == Some(value), "the upstream received {received:?} as {header}, the claim {claim}");
        }
        ensure!(headers.get("authorization").is_none(), "the upstream received the token");
        let forged = forged(token).context("the token has no signature")?;
        let refused = loader.send_as(Some(&forged), "GET", path, "").await?;
        ensure!(refused.status == 401, "the status of a forged token is {}", refused.status);
        // Tollgate's metrics count the refused request too.
        if let Some(counted) = side.counted() {
            counted.add(2, false, 0);
        }
        Ok(())
    }
}

fn file_name(name: &str) -> String {
    name.replace([' ', ','], "-")
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

    #[test]
    fn lines_are_counted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{}\n\n{").unwrap();
        assert_eq!(lines(file.path()).unwrap(), 2);
    }
}
