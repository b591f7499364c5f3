//! The sides of a row that compares two: the server, its credentials, and its counts.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use anyhow::Context;

use crate::counts::{ProductCounts, mock_requests};
use crate::cpu::CpuAccount;
use crate::database::BenchDatabase;
use crate::load_counts::LoadCounts;
use crate::pair_row::{FEW_ROUTES, KEYS, MANY_ROUTES, PairKind};
use crate::people;
use crate::plan::RunPlan;
use crate::product::{LIMITED, MockProcess, PLAN, Product, ProductFiles, ServerSettings, ServerVariant};
use crate::reference::{Listener, ReferenceProxy};
use crate::token_issuer::TokenIssuer;
use crate::wrk::Wrk;

/// The programs of the comparisons.
pub(crate) struct PairBench<'a> {
    pub(crate) program: &'a Path,
    pub(crate) mock: &'a MockProcess,
    pub(crate) nginx: &'a ReferenceProxy,
    pub(crate) issuer: &'a TokenIssuer,
    pub(crate) wrk: Wrk<'a>,
    pub(crate) h2load: &'a Path,
    pub(crate) out: &'a Path,
    pub(crate) plan: &'a RunPlan,
}

/// One side while it runs.
pub(crate) struct PairSide<'a> {
    pub(crate) name: &'static str,
    pub(crate) server: PairServer<'a>,
    pub(crate) address: SocketAddr,
    pub(crate) credentials: SideCredentials,
}

pub(crate) enum PairServer<'a> {
    Nginx(&'a ReferenceProxy),
    Tollgate(Rc<CountedProduct>),
}

/// The credentials of a side's requests.
pub(crate) enum SideCredentials {
    /// None, or several that are used in turn.
    Listed(Vec<String>),
    /// New access tokens, which are signed before each run.
    NewTokens,
}

/// A Tollgate, and the requests that it forwarded.
pub(crate) struct CountedProduct {
    pub(crate) product: Product,
    before: ProductCounts,
    forwarded: Cell<u64>,
    forwarded_with_key: Cell<u64>,
    tolerance: Cell<u64>,
}

impl PairServer<'_> {
    pub(crate) fn account(&self) -> &CpuAccount {
        match self {
            Self::Nginx(nginx) => &nginx.group.account,
            Self::Tollgate(counted) => &counted.product.group.account,
        }
    }
}

impl PairSide<'_> {
    /// Whether all requests have the key of the usage that is counted.
    pub(crate) fn has_counted_key(&self) -> bool {
        match (&self.server, &self.credentials) {
            (PairServer::Tollgate(counted), SideCredentials::Listed(keys)) => {
                matches!(keys.as_slice(), [key] if *key == counted.product.key)
            }
            _ => false,
        }
    }
}

impl CountedProduct {
    /// Adds a run that began when the backends had received `reached` requests. `open` requests may be aborted at its end.
    pub(crate) async fn add(&self, reached: Reached<'_>, with_key: bool, open: u64) -> anyhow::Result<()> {
        let forwarded = requests(reached.backends).await? - reached.requests;
        self.forwarded.set(self.forwarded.get() + forwarded);
        if with_key {
            self.forwarded_with_key.set(self.forwarded_with_key.get() + forwarded);
        }
        self.tolerance.set(self.tolerance.get() + open);
        Ok(())
    }

    pub(crate) async fn counts(&self, what: &'static str) -> anyhow::Result<LoadCounts> {
        let counts = LoadCounts {
            what,
            forwarded: self.forwarded.get(),
            forwarded_with_key: self.forwarded_with_key.get(),
            counted: ProductCounts::default(),
            tolerance: self.tolerance.get(),
        };
        counts.settle(&self.product, self.before).await
    }
}

/// The requests that some backends have received.
pub(crate) struct Reached<'a> {
    backends: &'a [SocketAddr],
    requests: u64,
}

impl<'a> Reached<'a> {
    pub(crate) async fn read(backends: &'a [SocketAddr]) -> anyhow::Result<Self> {
        Ok(Self { backends, requests: requests(backends).await? })
    }
}

async fn requests(backends: &[SocketAddr]) -> anyhow::Result<u64> {
    let mut sum = 0;
    for backend in backends {
        sum += mock_requests(*backend).await?;
    }
    Ok(sum)
}

impl PairBench<'_> {
    /// Starts both sides of a row.
    pub(crate) async fn sides(
        &self,
        kind: PairKind,
        dir: &Path,
        second: Option<&MockProcess>,
    ) -> anyhow::Result<[PairSide<'_>; 2]> {
        let nginx = |listener| {
            let (server, credentials) = (PairServer::Nginx(self.nginx), SideCredentials::Listed(Vec::new()));
            self.nginx.listener(listener).map(|address| PairSide { name: "nginx", server, address, credentials })
        };
        let usual = ServerVariant::Usual;
        Ok(match kind {
            PairKind::Routes => [
                self.tollgate("10 routes", ServerVariant::Routes(FEW_ROUTES), dir).await?,
                self.tollgate("10,000 routes", ServerVariant::Routes(MANY_ROUTES), dir).await?,
            ],
            PairKind::Backends => {
                let second = second.context("internal error: no second backend")?;
                let both = ServerVariant::Backends(second.address);
                [self.tollgate("one backend", usual, dir).await?, self.tollgate("two backends", both, dir).await?]
            }
            PairKind::Http2 => [nginx(Listener::Http2)?, self.tollgate("tollgate", usual, dir).await?],
            PairKind::Tls => [nginx(Listener::Tls)?, self.tollgate("tollgate", ServerVariant::Tls, dir).await?],
            PairKind::Rate => {
                let plain = self.tollgate("plain", usual, dir).await?;
                let keyed = plain.again("with a key", |product| SideCredentials::Listed(vec![product.key.clone()]))?;
                [plain, keyed]
            }
            PairKind::Keys => self.key_sides(dir).await?,
            PairKind::Cold => {
                let mut cached = self.tollgate("cached token", ServerVariant::Tokens, dir).await?;
                cached.credentials = SideCredentials::Listed(vec![self.issuer.token()?]);
                let new = cached.again("new tokens", |_| SideCredentials::NewTokens)?;
                [cached, new]
            }
        })
    }

    /// A side with one key, and one with the keys of many users.
    async fn key_sides(&self, dir: &Path) -> anyhow::Result<[PairSide<'_>; 2]> {
        let mut one = self.tollgate("one key", ServerVariant::Usual, dir).await?;
        let mut many = self.tollgate("10,000 keys", ServerVariant::Usual, dir).await?;
        if let PairServer::Tollgate(counted) = &one.server {
            one.credentials = SideCredentials::Listed(vec![counted.product.key.clone()]);
        }
        let store = BenchDatabase::kept(&data(dir, many.name))?.open().await?;
        many.credentials = SideCredentials::Listed(people::callers(&store, PLAN, KEYS).await?);
        store.close().await;
        Ok([one, many])
    }

    async fn tollgate(&self, name: &'static str, variant: ServerVariant, dir: &Path) -> anyhow::Result<PairSide<'_>> {
        let (data, server) = (data(dir, name), ServerSettings { variant, ..ServerSettings::COMPARED });
        let (program, out, file) = (self.program, self.out, file_name(name));
        let places = ProductFiles { program, data: &data, out, name: &file, url: None, limits: LIMITED, server };
        let product = Product::start(&places, self.mock.address).await.context(name)?;
        let (address, before) = (product.proxy, ProductCounts::read(&product).await?);
        let zero = || Cell::new(0);
        let counted =
            CountedProduct { product, before, forwarded: zero(), forwarded_with_key: zero(), tolerance: zero() };
        let (server, credentials) = (PairServer::Tollgate(Rc::new(counted)), SideCredentials::Listed(Vec::new()));
        Ok(PairSide { name, server, address, credentials })
    }
}

impl<'a> PairSide<'a> {
    /// Another side of the same Tollgate.
    fn again(&self, name: &'static str, of: impl Fn(&Product) -> SideCredentials) -> anyhow::Result<Self> {
        let PairServer::Tollgate(counted) = &self.server else { anyhow::bail!("internal error: no Tollgate") };
        let credentials = of(&counted.product);
        Ok(PairSide { name, server: PairServer::Tollgate(counted.clone()), address: self.address, credentials })
    }
}

/// The data folder of the Tollgate of a side.
fn data(dir: &Path, name: &str) -> std::path::PathBuf {
    dir.join(file_name(name))
}

fn file_name(name: &str) -> String {
    name.replace([' ', ','], "-")
}
