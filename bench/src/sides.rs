//! The sides of a row: the server under load, its requests and credentials, and Tollgate's counts.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, ensure};
use http_body_util::{BodyExt as _, Empty};
use tokio::time::{Instant, sleep};

use crate::counts::{LoadCounts, ProductCounts, metric, mock_requests};
use crate::database::BenchDatabase;
use crate::fake::FakeServer;
use crate::people;
use crate::process::CpuAccount;
use crate::product::{MockProcess, PLAN, Product, ProductStart, ServerConfig};
use crate::proxies::{PLAIN, Proxy, RunningProxies};
use crate::request::{BenchRequest, Credential};
use crate::rows::{KEYS, PairKind, Row, RowKind};
use crate::tokens::TokenIssuer;

/// The time in which all log lines of a run are written.
const LINES_PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// One side while it runs.
pub(crate) struct Side<'a> {
    pub(crate) name: &'static str,
    pub(crate) account: CpuAccount,
    /// The Tollgate, if the side is one.
    pub(crate) counted: Option<Rc<CountedProduct>>,
    pub(crate) address: SocketAddr,
    pub(crate) request: BenchRequest,
    /// The credentials of its requests, which are used in turn.
    pub(crate) keys: Vec<String>,
    /// Whether new access tokens are signed before each run instead.
    pub(crate) has_new_tokens: bool,
    /// The PostgreSQL of the side.
    pub(crate) database: Option<&'a BenchDatabase>,
    /// The log lines of all runs, of a side whose name is the level.
    pub(crate) log: Option<Cell<LineCounts>>,
    _receiver: Option<FakeServer>,
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

    /// Compares the forwarded requests with Tollgate's counts.
    pub(crate) async fn settle(&self, what: &'static str) -> anyhow::Result<LoadCounts> {
        LoadCounts { what, ..self.counts.get() }.settle(&self.product, self.before).await
    }
}

impl Side<'_> {
    pub(crate) fn tollgate(name: &'static str, counted: &Rc<CountedProduct>, request: BenchRequest) -> Self {
        let Product { proxy, tls, ref key, ref group, .. } = counted.product;
        let address = if request.scheme == "https" { tls } else { proxy };
        let keys = if request.credential == Credential::None { Vec::new() } else { vec![key.clone()] };
        let account = group.account.clone();
        let counted = Some(Rc::clone(counted));
        let has_new_tokens = false;
        let database = None;
        let log = None;
        let _receiver = None;
        Self { name, account, counted, address, request, keys, has_new_tokens, database, log, _receiver }
    }

    /// A proxy, whose requests have the same keys as those of this side.
    fn proxy(&self, proxy: &Proxy, listener: &str) -> anyhow::Result<Self> {
        // Proxies that verify no tokens forward requests with a token as all others.
        let address = proxy.listener(listener).or_else(|_| proxy.listener(PLAIN))?;
        let request = self.request;
        let keys = self.keys.clone();
        let account = proxy.group.account.clone();
        let has_new_tokens = false;
        let database = None;
        let log = None;
        let _receiver = None;
        let name = proxy.name;
        let counted = None;
        Ok(Self { name, account, counted, address, request, keys, has_new_tokens, database, log, _receiver })
    }

    /// Adds forwarded requests to the counts of a Tollgate, of which `open` may have been aborted at the end of a run.
    pub(crate) fn count(&self, forwarded: u64, open: u64) {
        if let Some(counted) = &self.counted {
            let mut counts = counted.counts.get();
            counts.forwarded += forwarded;
            // The usage of one key is counted.
            let has_own_key = self.request.credential == Credential::Key && self.keys == [counted.product.key.as_str()];
            counts.forwarded_with_key += if has_own_key { forwarded } else { 0 };
            counts.tolerance += open;
            counted.counts.set(counts);
        }
    }

    /// The first key or token of the requests.
    pub(crate) fn key(&self) -> Option<&str> {
        self.keys.first().map(String::as_str)
    }

    /// Waits until a line per request is written to the log or dropped. It is an error if not, or if `warn` writes them.
    pub(crate) async fn check_lines(&self, requests: u64, dropped_before: u64) -> anyhow::Result<()> {
        let Some(counts) = &self.log else {
            return Ok(());
        };
        let Some(CountedProduct { product, .. }) = self.counted.as_deref() else {
            return Ok(());
        };
        let deadline = Instant::now() + LINES_PATIENCE;
        loop {
            let dropped = metric(product, "tollgate_log_lines_dropped_total").await? - dropped_before;
            let written = lines(&product.log)?;
            if self.name == "warn" {
                ensure!(written < requests, "level warn logs requests: {written} lines");
                return Ok(());
            }
            if written + dropped >= requests {
                let LineCounts { requests: all, written: lines, dropped: lost } = counts.get();
                let requests = all + requests;
                let written = lines + written;
                let dropped = lost + dropped;
                counts.set(LineCounts { requests, written, dropped });
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{requests} requests, {written} lines written, {dropped} dropped");
            sleep(PAUSE).await;
        }
    }
}

fn lines(file: &Path) -> anyhow::Result<u64> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(file)?);
    let mut line = Vec::new();
    let mut lines = 0;
    while reader.read_until(b'\n', &mut line)? > 0 {
        lines += u64::from(line.ends_with(b"\n"));
        line.clear();
    }
    Ok(lines)
}

/// The programs from which rows build their sides.
#[derive(Clone, Copy)]
pub(crate) struct SideStart<'a> {
    pub(crate) program: &'a Path,
    pub(crate) mock: &'a MockProcess,
    pub(crate) proxies: &'a RunningProxies,
    /// The Tollgate of the rows beside proxies.
    pub(crate) main: &'a Rc<CountedProduct>,
    pub(crate) issuer: &'a TokenIssuer,
    pub(crate) out: &'a Path,
    /// The folder of the data of further Tollgates.
    pub(crate) dir: &'a Path,
}

impl<'a> SideStart<'a> {
    /// Starts another Tollgate in front of `mock`. The name is that of its files and of its folder.
    pub(crate) async fn product(&self, name: &str, config: ServerConfig, mock: SocketAddr) -> anyhow::Result<Product> {
        let data = self.dir.join(name);
        let start = ProductStart { config, ..ProductStart::new(self.program, &data, self.out, name) };
        start.run(mock).await.with_context(|| name.to_owned())
    }

    /// Starts the sides of a row, Tollgate last. `second` is the second backend of the row that needs one.
    pub(crate) async fn sides(&self, row: &Row, second: Option<&MockProcess>) -> anyhow::Result<Vec<Side<'a>>> {
        let pair = match row.kind {
            RowKind::Proxies(proxies, _) => return self.beside(row, proxies).await,
            RowKind::Pair(pair, _) => pair,
        };
        let mut backends = vec![self.mock.address];
        backends.extend(second.map(|second| second.address));
        let ([(first, config), (other, other_config)], receiver) = self.pair(pair, second).await?;
        let of_first = self.counted(row, first, config.unwrap_or_default(), &backends).await?;
        let of_other = match other_config {
            None => of_first.clone(),
            Some(config) => self.counted(row, other, config, &backends).await?,
        };
        let mut first = Side::tollgate(first, &of_first, row.request);
        let mut other = Side { _receiver: receiver, ..Side::tollgate(other, &of_other, row.request) };
        match pair {
            PairKind::Keys => {
                let store = BenchDatabase::kept(&self.dir.join(file_name(row, other.name)))?.open().await?;
                other.keys = people::callers(&store, PLAN, KEYS).await?;
                store.close().await;
            }
            PairKind::Cold => {
                first.keys = vec![self.issuer.token()?];
                other.has_new_tokens = true;
            }
            PairKind::LogLevel => {
                (first.log, other.log) = (Some(Cell::default()), Some(Cell::default()));
            }
            PairKind::Routes(..) | PairKind::Backends | PairKind::Targets | PairKind::Traces(_) => {}
        }
        Ok(vec![first, other])
    }

    /// The names and the configurations of both sides; one without a configuration uses the Tollgate of the first side.
    async fn pair(
        &self,
        pair: PairKind,
        second: Option<&MockProcess>,
    ) -> anyhow::Result<([(&'static str, Option<ServerConfig>); 2], Option<FakeServer>)> {
        let usual = ServerConfig::default;
        let mut receiver = None;
        let both = match pair {
            PairKind::Routes(few, many) => {
                [("10 routes", ServerConfig::routes(few)), ("10,000 routes", ServerConfig::routes(many))]
                    .map(|(name, config)| (name, Some(config)))
            }
            PairKind::Backends => {
                let second = second.context("internal error: no second backend")?.address;
                [
                    ("one backend", Some(usual())),
                    ("two backends", Some(ServerConfig::backends(self.mock.address, second))),
                ]
            }
            PairKind::Targets => {
                [("one target", Some(ServerConfig::targets(1))), ("two targets", Some(ServerConfig::targets(2)))]
            }
            PairKind::Keys => [("one key", Some(usual())), ("10,000 keys", Some(usual()))],
            PairKind::Cold => [("cached token", Some(ServerConfig::full(self.proxies.origin))), ("new tokens", None)],
            PairKind::Traces(sample) => {
                let started = FakeServer::start(|_| Empty::new().boxed_unsync()).await?;
                let traces = ServerConfig::traces(sample, started.address);
                receiver = Some(started);
                [("no traces", Some(usual())), ("traces", Some(traces))]
            }
            PairKind::LogLevel => {
                ["warn", "info"].map(|log_level| (log_level, Some(ServerConfig { log_level, ..usual() })))
            }
        };
        Ok((both, receiver))
    }

    async fn counted(
        &self,
        row: &Row,
        name: &str,
        config: ServerConfig,
        backends: &[SocketAddr],
    ) -> anyhow::Result<Rc<CountedProduct>> {
        let product = self.product(&file_name(row, name), config, self.mock.address).await?;
        CountedProduct::new(product, backends.to_vec()).await
    }

    /// The proxies that run, and Tollgate.
    async fn beside(&self, row: &Row, kinds: &[&str]) -> anyhow::Result<Vec<Side<'a>>> {
        let counted = if row.has_own_tollgate() {
            let config = ServerConfig::full(self.proxies.origin);
            self.counted(row, "tollgate", config, &[self.mock.address]).await?
        } else {
            self.main.clone()
        };
        let mut tollgate = Side::tollgate("tollgate", &counted, row.request);
        if row.request.credential == Credential::Token {
            tollgate.keys = vec![self.issuer.token()?];
        }
        let proxies = self.proxies.list.iter().filter(|proxy| kinds.contains(&proxy.name));
        let mut sides = proxies.map(|proxy| tollgate.proxy(proxy, row.listener)).collect::<anyhow::Result<Vec<_>>>()?;
        sides.push(tollgate);
        Ok(sides)
    }
}

fn file_name(row: &Row, name: &str) -> String {
    format!("{}-{}", row.name, name.replace([' ', ','], "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{}\n\n{").unwrap();
        assert_eq!(lines(file.path()).unwrap(), 2);
    }
}
