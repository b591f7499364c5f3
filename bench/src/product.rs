//! The Tollgate process under test: its mock as a separate process, its configuration, a user, a key, and `serve` in a
//! group.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use access::Secret;
use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};

use crate::client::Loader;
use crate::process::{ProcessGroup, ProcessStart};
use crate::tokens::{self, AUDIENCE, CLAIMS, ISSUER};
use crate::tools::free_address;

/// The name prefix of Tollgate's worker threads.
pub(crate) const WORKER_THREADS: &str = "worker";
const EMAIL: &str = "bench@example.com";
/// The plan of the users.
pub(crate) const PLAN: &str = "bench";
const PATIENCE: Duration = Duration::from_secs(60);
/// The patience with a process that valgrind runs.
const SLOW_PATIENCE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(100);

/// The backend of both sides.
pub(crate) struct MockProcess {
    pub(crate) address: SocketAddr,
    _group: ProcessGroup,
}

impl MockProcess {
    /// Starts a backend, whose log has this name.
    pub(crate) async fn start(program: &Path, dir: &Path, name: &str) -> anyhow::Result<Self> {
        Self::start_on(Ipv4Addr::LOCALHOST, program, dir, name).await
    }

    /// Starts a backend that listens on `ip`; an unspecified one is all addresses of this machine.
    pub(crate) async fn start_on(ip: Ipv4Addr, program: &Path, dir: &Path, name: &str) -> anyhow::Result<Self> {
        let address = free_address()?;
        let listen = SocketAddr::from((ip, address.port())).to_string();
        let arguments = vec![String::from("mock"), String::from("--listen"), listen];
        let start = ProcessStart { name, program, arguments, log: dir.join(format!("{name}.log")) };
        let group = ProcessGroup::start(&start)?;
        Loader::connect_soon(address).await.context("cannot connect to the mock; see its log")?;
        Ok(Self { address, _group: group })
    }
}

/// A running Tollgate with one user and one key.
pub(crate) struct Product {
    pub(crate) group: ProcessGroup,
    pub(crate) proxy: SocketAddr,
    pub(crate) control: SocketAddr,
    pub(crate) key: String,
    /// The file of its output.
    pub(crate) log: PathBuf,
}

/// The start of a Tollgate. The configuration and the log stay in `out`; the data is deleted.
#[derive(Clone, Copy)]
pub(crate) struct ProductStart<'a> {
    pub(crate) program: &'a Path,
    pub(crate) data: &'a Path,
    pub(crate) out: &'a Path,
    /// The name of its files and of its group.
    pub(crate) name: &'a str,
    /// The URL of its PostgreSQL; `None` means SQLite in `data`.
    pub(crate) url: Option<&'a Secret>,
    pub(crate) limits: LimitSettings,
    pub(crate) workers: u32,
    pub(crate) variant: ServerVariant,
    /// A program with arguments that runs Tollgate; empty to start Tollgate itself.
    pub(crate) under: &'a [String],
}

/// A difference from the usual configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerVariant {
    Usual,
    /// This number of routes, of which at least [`ROUTES_MIN`].
    Routes(u32),
    /// The second backend of the upstream.
    Backends(SocketAddr),
    /// TLS, with the certificate of [`crate::tokens`].
    Tls,
    /// TLS for clients and to the backend, both with the certificate of [`crate::tokens`].
    TlsBoth,
    /// A route for access tokens of the issuer of [`crate::tokens`].
    Tokens,
    /// This level of the log.
    Log(&'static str),
    /// Health checks, a circuit breaker, ejection, retries and limits of the pool.
    Resilient,
    /// A model with this number of targets at the mock.
    Targets(u32),
    /// Two more upstreams, so that the metrics have at least 10,000 series.
    Series,
    /// The backends of the upstream are members from the etcd at this address.
    Members(SocketAddr),
    /// Routes with edits of headers and bodies, for gRPC, and for WebSockets.
    Protocols,
    /// Routes whose responses are stored or compressed.
    Responses,
    /// Traces of this share of the requests, for the receiver at this address.
    Traces(&'static str, SocketAddr),
}

/// The prefix of the keys of [`ServerVariant::Members`].
pub(crate) const MEMBERS_PREFIX: &str = "/members/";

/// The routes of [`ServerVariant::Responses`].
const RESPONSES: &str =
    "  - {name: cached, path: /plain/bytes/4096, auth: none, upstreams: backend, events: folded, cache: {ttl: 1d}}
  - {name: gzip, path: /plain/json, auth: none, upstreams: backend, events: folded, compression: [gzip]}
";

/// The routes of [`ServerVariant::Protocols`].
const PROTOCOLS: &str = "  - name: edited
    path: /plain/edited
    auth: none
    upstreams: backend
    events: folded
    transformations:
      request: {remove_headers: [X-Internal], add_headers: {X-Tenant: acme, X-Source: gateway}}
      response: {add_headers: {X-Frame-Options: DENY, X-Content-Type-Options: nosniff, Cache-Control: no-store}}
  - name: changed
    path: /echo/json
    auth: none
    upstreams: backend
    events: folded
    transformations: {request: {body: {set: {/source: bench}}, body_max: 2MiB}}
  - {name: calls, path: {prefix: /bench.Echo}, auth: none, upstreams: calls, events: folded}
  - {name: socket, path: /plain/socket, auth: none, upstreams: backend, events: folded, upgrades: [websocket]}
";

/// The keys of the upstream of [`ServerVariant::Resilient`].
const RESILIENT: &str = "
    health_check: {path: /mock/seen, interval: 1s}
    circuit_breaker: {failure_threshold: 5, error_rate: 50%}
    ejection: {failures: 5}
    retry: {attempts: 2}
    pool: {idle: 128, max_connections: 1024, pending: 1024}";

/// The backends of each of two upstreams of [`ServerVariant::Series`], which no request reaches.
const MANY_BACKENDS: u32 = 150;

/// The routes of the usual configuration.
const ROUTES_MIN: u32 = 4;

/// Limits of the users, so high that they are checked but never reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LimitSettings {
    /// Additional fields of the plan.
    pub(crate) plan: &'static str,
    /// A section of the configuration.
    pub(crate) budgets: &'static str,
}

/// A rate limit and a quota for each user.
pub(crate) const LIMITED: LimitSettings =
    LimitSettings { plan: ", credits_per_day: 4000000000, requests_per_minute: 2000000000", budgets: "" };

impl<'a> ProductStart<'a> {
    /// As many workers as nginx and HAProxy have, SQLite, and no log line per request.
    pub(crate) const fn new(program: &'a Path, data: &'a Path, out: &'a Path, name: &'a str) -> Self {
        let (limits, variant) = (LIMITED, ServerVariant::Usual);
        Self { program, data, out, name, url: None, limits, workers: 2, variant, under: &[] }
    }

    pub(crate) async fn run(&self, backend: SocketAddr) -> anyhow::Result<Product> {
        let places = self;
        let (proxy, control) = (free_address()?, free_address()?);
        let file = places.out.join(format!("{}.yaml", places.name));
        let store = places.url.map(|url| format!("store: {{url: \"{}\"}}\n", url.expose())).unwrap_or_default();
        std::fs::write(&file, config(Addresses { proxy, control, backend }, places) + &store)?;
        let common = [String::from("--config"), file.display().to_string(), String::from("--data"), path(places.data)];
        let words = [String::from("serve"), String::from("--workers"), places.workers.to_string()];
        let serve = words.into_iter().chain(common.clone());
        let (program, arguments, patience) = match places.under {
            [] => (places.program, serve.collect(), PATIENCE),
            [runner, words @ ..] => {
                let program = path(places.program);
                (Path::new(runner), words.iter().cloned().chain([program]).chain(serve).collect(), SLOW_PATIENCE)
            }
        };
        let log = places.out.join(format!("{}.log", places.name));
        let mut group = ProcessGroup::start(&ProcessStart { name: places.name, program, arguments, log: log.clone() })?;
        ready(&mut group, control, patience).await.context("tollgate serve did not become ready; see its log")?;
        let command = |words: &[&str]| run_command(places.program, words, &common);
        command(&["users", "create", "--email", EMAIL, "--plan", PLAN])?;
        let printed = command(&["keys", "create", "--user", EMAIL, "--label", "bench"])?;
        let key = find_key(&printed).context("tollgate keys create printed no key")?;
        Ok(Product { group, proxy, control, key, log })
    }
}

/// The addresses in the configuration.
#[derive(Clone, Copy)]
struct Addresses {
    proxy: SocketAddr,
    control: SocketAddr,
    backend: SocketAddr,
}

fn config(addresses: Addresses, places: &ProductStart<'_>) -> String {
    let (LimitSettings { plan, budgets }, mut log_level) = (places.limits, "warn");
    let Addresses { proxy, control, backend } = addresses;
    let (mut listen, mut more) = (proxy.to_string(), String::new());
    let mut backends = format!("backends: [{{url: \"http://{backend}\"}}]");
    let (mut auth, mut guards, mut calls) = (String::new(), String::new(), String::new());
    match places.variant {
        ServerVariant::Usual => {}
        ServerVariant::Log(level) => log_level = level,
        ServerVariant::Routes(count) => more = more_routes(count.saturating_sub(ROUTES_MIN)),
        ServerVariant::Backends(second) => {
            backends = format!("backends: [{{url: \"http://{backend}\"}}, {{url: \"http://{second}\"}}]");
        }
        ServerVariant::Resilient => guards = RESILIENT.to_owned(),
        ServerVariant::Protocols => {
            calls = format!("\n  - {{name: calls, backends: [{{url: \"h2c://{backend}\"}}]}}");
            more = PROTOCOLS.to_owned();
        }
        ServerVariant::Targets(count) => {
            let model = |number: u32| if number == 0 { "instant".into() } else { format!("tokens-{number}-0") };
            let targets: Vec<String> =
                (0..count).map(|number| format!("{{provider: mock, model: {}}}", model(number))).collect();
            more = format!("models:\n  - {{name: targeted, targets: [{}]}}\n", targets.join(", "));
        }
        ServerVariant::Series => calls = many_upstreams(),
        ServerVariant::Members(etcd) => {
            backends = format!("discover: {{etcd: {MEMBERS_PREFIX}}}");
            more = format!("etcd: {{urls: [\"http://{etcd}\"]}}\n");
        }
        ServerVariant::Responses => more = RESPONSES.to_owned(),
        ServerVariant::Traces(sample, receiver) => {
            more = format!("traces: {{otlp: \"http://{receiver}\", sample: {sample}}}\n");
        }
        ServerVariant::Tls | ServerVariant::TlsBoth => {
            let [certificate, key] = tokens::certificate_files(places.out).map(|file| path(&file));
            listen = format!("[{{address: \"{proxy}\", tls: {{cert: {certificate}, key: {key}}}}}]");
            if places.variant == ServerVariant::TlsBoth {
                backends = format!("backends: [{{url: \"https://{backend}\"}}]");
                guards = format!("\n    tls: {{ca: {certificate}}}");
            }
        }
        ServerVariant::Tokens => {
            auth = issuer(places.out);
            more = TOKEN_ROUTE.to_owned();
        }
    }
    format!(
        "listen: {listen}
control: {{listen: {control}}}
log: {{format: json, level: {log_level}}}
connections: {{max: 20000, per_address: 20000, in_flight_per_address: 20000}}
spool: {{max_size: 1GiB}}
providers:
  - {{name: mock, kind: mock, base_url: \"http://{backend}\"}}
plans:
  - {{name: {PLAN}{plan}}}
{auth}upstreams:
  - name: backend
    {backends}{guards}{calls}
routes:
  - {{name: open, path: /plain/open, auth: {{type: none}}, upstreams: backend, events: folded}}
  - {{name: sized, path: {{prefix: /plain/bytes}}, auth: {{type: none}}, upstreams: backend, events: folded}}
  - {{name: keyed, path: /plain/keyed, upstreams: backend, events: folded}}
  - {{name: echo, path: {{prefix: /echo}}, upstreams: backend, events: rows}}
{more}{budgets}"
    )
}

/// Returns two upstreams with backends that no request reaches. The first check of a backend begins its series.
fn many_upstreams() -> String {
    let upstream = |name: &str| {
        let backend = |number: u32| format!("{{url: \"http://127.0.1.{}:9/{name}\"}}", number + 1);
        let backends: Vec<String> = (0..MANY_BACKENDS).map(backend).collect();
        let check = "health_check: {tcp: true, interval: 1h}";
        format!("\n  - {{name: {name}, backends: [{}], {check}}}", backends.join(", "))
    };
    ["many", "more"].map(upstream).concat()
}

/// The route for access tokens. The limit is never reached; as in Envoy, all workers and clients share it.
const TOKEN_ROUTE: &str = "  - name: jwt
    path: /plain/jwt
    auth: {type: jwt, use: bench}
    upstreams: backend
    events: folded
    rate_limits: [{dimension: global, limit: 1000000, window: 1s, algorithm: token_bucket}]
";

/// Returns the section of the issuer, whose public key is in a file of `out`.
fn issuer(out: &Path) -> String {
    let headers: Vec<String> = CLAIMS.iter().map(|(claim, header, _)| format!("{claim}: {header}")).collect();
    format!(
        "auth:
  - name: bench
    type: jwt
    algorithms: [RS256]
    public_key: \"file:{}\"
    issuer: {ISSUER}
    audience: {AUDIENCE}
    claims_to_headers: {{{}}}
",
        path(&tokens::public_key_file(out)),
        headers.join(", ")
    )
}

/// Returns exact paths, prefixes and templates in turn, which no request of the measurements matches.
fn more_routes(count: u32) -> String {
    let path = |number: u32| match number % 3 {
        0 => format!("/service/{number}/items"),
        1 => format!("{{prefix: /service/{number}}}"),
        _ => format!("\"/service/{number}/users/{{id}}\""),
    };
    (0..count).map(|number| format!("  - {{path: {}, upstreams: backend}}\n", path(number))).collect()
}

/// Waits until the admin API reports that Tollgate is ready.
pub(crate) async fn ready(group: &mut ProcessGroup, control: SocketAddr, patience: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        group.lives()?;
        if let Ok(mut loader) = Loader::connect(control, None).await
            && loader.get("/readyz").await.is_ok_and(|response| response.status == 200)
        {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("/readyz was not 200 in {} s", patience.as_secs());
        }
        sleep(PAUSE).await;
    }
}

/// Runs a command of Tollgate and returns its output.
fn run_command(program: &Path, words: &[&str], common: &[String]) -> anyhow::Result<String> {
    let output = Command::new(program).args(words).args(common).output()?;
    if !output.status.success() {
        bail!("tollgate {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first word that consists of `PREFIX_` and 32 hex digits.
fn find_key(printed: &str) -> Option<String> {
    let words = printed.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
    let is_key = |word: &&str| {
        word.rsplit_once('_').is_some_and(|(prefix, hex)| {
            !prefix.is_empty() && hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    words.into_iter().find(is_key).map(str::to_owned)
}

fn path(path: &Path) -> String {
    PathBuf::from(path).display().to_string()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Loads the configuration as Tollgate does. Defaults and bounds of the settings change.
    pub(crate) fn check_variant(limits: LimitSettings, variant: ServerVariant) {
        let [proxy, control, backend] = [7, 8, 9].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let dir = tempfile::tempdir().unwrap();
        tokens::create_certificate(dir.path()).unwrap();
        tokens::TokenIssuer::create(dir.path()).unwrap();
        let (data, file) = (dir.path(), dir.path().join("tollgate.yaml"));
        let places = ProductStart { limits, variant, ..ProductStart::new(data, data, data, "x") };
        let text = config(Addresses { proxy, control, backend }, &places);
        std::fs::write(&file, &text).unwrap();
        let environment = ::config::Environment::default();
        let flags = ::config::Flags::default();
        let loaded = ::config::load(::config::Sources { file: Some(&file), environment: &environment, flags });
        assert!(loaded.is_ok(), "{:?}\n{text}", loaded.err());
    }

    #[test]
    fn the_configuration_is_valid() {
        let backend = SocketAddr::from(([127, 0, 0, 1], 10));
        let backends = ServerVariant::Backends(backend);
        for variant in [
            ServerVariant::Log("info"),
            ServerVariant::Routes(10),
            backends,
            ServerVariant::Tls,
            ServerVariant::TlsBoth,
            ServerVariant::Tokens,
            ServerVariant::Resilient,
            ServerVariant::Targets(2),
            ServerVariant::Series,
            ServerVariant::Members(backend),
            ServerVariant::Protocols,
            ServerVariant::Responses,
            ServerVariant::Traces("100%", backend),
        ] {
            check_variant(LIMITED, variant);
        }
    }

    #[test]
    fn the_key_is_found_in_the_output() {
        let key = "tollgate_0123456789abcdef0123456789abcdef";
        assert_eq!(find_key(&format!("key  {key}\nshown once, for bench@example.com\n")).as_deref(), Some(key));
        assert_eq!(find_key(&format!("{{\"key\":\"{key}\"}}")).as_deref(), Some(key));
        assert_eq!(find_key("tollgate_0123 nothing"), None);
    }
}
