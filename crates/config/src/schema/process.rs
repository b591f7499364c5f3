//! The keys whose change needs a restart: listeners, folders, stores, and the admin API.

mod api_references;
mod billing;
mod config_source;
mod export;
mod mail;
mod traces;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use access::{Secret, api_key};
use meter::window;
use serde_json::{Value as Json, json};
use settings::field::{
    Either, Entries, Map, ValueList, default, entries, list, maybe_nested, nested, optional, or_empty, required,
    sections, single_or,
};
use settings::form::{
    Boolean, DurationForm, FormRefusal, Scalar, SizeForm, TextForm, Whole, WordOr, Words, accept, bad,
};
use settings::input::Input;
use settings::setting::Value;
use settings::spec::{RestartKeys, Rule};
use settings::{json, section};

use self::api_references::ApiReferencesInput;
pub(crate) use self::billing::{BillingInput, ExchangeInput, MidtransInput, SellerInput, TaxInput};
use self::config_source::ConfigSourceInput;
pub(crate) use self::export::ExportInput;
pub(crate) use self::mail::MailInput;
pub(crate) use self::traces::TracesInput;
use super::color::COLOR;
use super::listen::{ADDRESS, CertificateInput, ListenerInput};
use crate::snapshot::{Dimension, Durability, LimitSubject, LogFormat, Origin, Scheme, WORKERS_MAX, browser_origin};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const DAY: Duration = Duration::from_secs(86_400);
/// The longest duration that a value can have.
const YEAR: Duration = Duration::from_secs(366 * 86_400);

section! {
    /// What a reload cannot change.
    ProcessInput {
        /// The product's name, and its form in keys.
        brand: BrandInput = nested::<BrandInput>();
        /// The addresses of the proxy.
        listen: Option<Either<SocketAddr, Vec<Either<SocketAddr, ListenerInput>>>> = single_or(
            ADDRESS,
            entries::<_, ListenerInput>(ADDRESS, "at least one HOST:PORT or {address: HOST:PORT}"),
            Some(|| PROXY),
        );
        /// Whether listeners beyond loopback need `tls` or `plaintext`. Demo keys are refused.
        production: Input<bool> = default(Boolean, || false);
        /// Whether such listeners may lack TLS, behind a proxy.
        plaintext: Input<bool> = default(Boolean, || false);
        /// Number of threads; `auto`: one per core, at most 8.
        workers: Input<Option<u32>> = default(WORKERS, || None);
        /// Bounds of connections and of requests in flight.
        connections: ConnectionsInput = nested::<ConnectionsInput>();
        /// Maximum of requests in flight, at most half of them tunnels.
        in_flight: Input<u32> = default(IN_FLIGHT, || 10_000);
        /// The phases of a shutdown.
        drain: DrainInput = nested::<DrainInput>();
        /// The place of the configuration, if the file only starts the process.
        config: ConfigSourceInput = nested::<ConfigSourceInput>();
        /// The [upgrade in place](upgrade.md#upgrade-in-place).
        upgrade: UpgradeInput = nested::<UpgradeInput>();
        /// The format and the levels of the log.
        log: LogInput = nested::<LogInput>();
        /// The export of [traces](traces.md).
        traces: TracesInput = nested::<TracesInput>();
        /// The listener and the limits of the admin API.
        control: ControlInput = nested::<ControlInput>();
        /// A short form of `control.listen`.
        addr: Option<Input<SocketAddr>> = optional(ADDRESS, "`control.listen` applies");
        /// A short form of `control.connections.max`.
        max_connections: Option<Input<u32>> = optional(CONTROL_CONNECTIONS, "`control.connections.max` applies");
        /// A short form of `control.timeout`, in seconds.
        timeout_seconds: Option<Input<u32>> = optional(Whole::<u32>::new(1, 600), "`control.timeout` applies");
        /// [Example files](insights.md#examples) with which the insights endpoints respond.
        examples_dir: Option<Input<PathBuf>> = or_empty(FOLDER, "none");
        /// The URLs that clients use.
        public_url: PublicUrlInput = nested::<PublicUrlInput>();
        /// The access to the metrics endpoint.
        metrics: MetricsInput = nested::<MetricsInput>();
        /// The folder of SQLite, spool and secrets.
        data: Input<PathBuf> = default(FOLDER, || PathBuf::from("./tollgate-data"));
        /// The database of users, keys and usage.
        store: StoreInput = nested::<StoreInput>();
        /// The spool of usage events.
        spool: SpoolInput = nested::<SpoolInput>();
        /// The [export](export.md) of usage events to one target.
        export: ExportInput = nested::<ExportInput>();
        /// The retention of usage.
        retention: RetentionInput = nested::<RetentionInput>();
        /// The leases of quotas and budgets.
        lease: LeaseInput = nested::<LeaseInput>();
        /// Redis 7 or later, or a Redis Cluster, for shared [rate limits](rate-limits.md#several-nodes), [responses](cache.md#several-nodes) and [keys](authentication.md#keys-in-redis).
        redis: Option<Input<Secret>> = or_empty(REDIS, "none");
        /// Subscriptions, invoices and payments.
        billing: BillingInput = nested::<BillingInput>();
        /// The account of the payment provider [Midtrans](billing.md#payments).
        midtrans: MidtransInput = nested::<MidtransInput>();
        /// The server that takes the [mails](billing.md#mails) of billing. Without it, no mails are sent.
        mail: Option<MailInput> = maybe_nested::<MailInput>();
        restart: RestartKeys::All;
    }
}

section! {
    BrandInput {
        /// The name on pages and in texts.
        name: Input<String> = default(BRAND, || "Tollgate".to_owned());
        /// Used in keys, cookies, lists of models and the [install script](install-script.md). A change ends browser sessions, not keys.
        key_prefix: Option<Input<String>> =
            optional(KEY_PREFIX, "letters and digits of `name` in lower case, or `gateway`");
        /// The colour of the brand on the pages.
        color: Option<Input<String>> = optional(COLOR, "that of the product");
    }
}

section! {
    ConnectionsInput {
        /// Maximum of open connections.
        max: Input<u32> = default(Whole::u32_from(1), || 20_000);
        /// Maximum of open connections of one address (IPv6: /64).
        per_address: Input<u32> = default(Whole::u32_from(1), || 1_000);
        /// Maximum of requests in flight of one key; more are `rate_limited`. All keys of one user: twice as many.
        in_flight_per_key: Input<u32> = default(Whole::u32_from(1), || 1_000);
        /// Maximum of requests in flight of one address (IPv6: /64) without an identified client; more are `rate_limited`. As many more may wait for the check of their credentials.
        in_flight_per_address: Option<Input<u32>> =
            optional(Whole::u32_from(1), "a 16th of `in_flight`, at least 64, at most half of `in_flight`");
        /// The same for all addresses together; more are `overloaded`. A quarter of `in_flight` may wait for the check of credentials.
        in_flight_anonymous: Option<Input<u32>> = optional(Whole::u32_from(1), "half of `in_flight`");
    }
}

section! {
    DrainInput {
        /// Time after SIGTERM during which connections are accepted.
        delay: Input<Duration> = default(DurationForm::ANY, || Duration::from_secs(2));
        /// Time after `delay` for requests in flight.
        timeout: Input<Duration> = default(DurationForm::ANY, || Duration::from_secs(30));
    }
}

section! {
    UpgradeInput {
        /// Maximum time until the new process is ready.
        timeout: Input<Duration> = default(UPGRADE_TIMEOUT, || Duration::from_secs(60));
    }
}

section! {
    LogInput {
        /// The format of log lines.
        format: Option<Input<LogFormat>> = optional(LOG_FORMAT, "`text` on a terminal, else `json`");
        /// The lowest level that is logged.
        level: Input<&'static str> = default(LEVEL, || "info");
        /// Levels of single modules: `{proxy: debug, "ledger::ingest": warn}`.
        modules: Vec<(String, Input<&'static str>)> = Map::new(LEVEL, is_module, MODULES, MODULE_PATTERN);
    }
}

section! {
    ControlInput {
        /// The address of the [admin API](api.md).
        listen: Input<SocketAddr> = default(ADDRESS, || CONTROL);
        /// The admin API is served over HTTPS.
        tls: Option<CertificateInput> = maybe_nested::<CertificateInput>();
        /// Bounds of its connections.
        connections: ControlConnectionsInput = nested::<ControlConnectionsInput>();
        /// Maximum duration of one call.
        timeout: Input<Duration> = default(CALL_TIMEOUT, || Duration::from_secs(30));
        /// Pages of other origins.
        cors: CorsInput = nested::<CorsInput>();
        /// [Limits](api.md#rate-limits) of the admin API; `[]` is no limit.
        rate_limits: Entries<ControlLimitInput> = sections::<ControlLimitInput>("three limits");
        /// What a [configuration of the API](live-configuration.md#references-of-the-api) may refer to.
        config: ApiReferencesInput = nested::<ApiReferencesInput>();
    }
}

section! {
    ControlConnectionsInput {
        /// Maximum of open connections; a new one replaces an idle one.
        max: Input<u32> = default(CONTROL_CONNECTIONS, || 1_024);
        /// Maximum of open connections of one address (IPv6: /64); `trusted_proxies` are exempt.
        per_address: Input<u32> = default(CONTROL_CONNECTIONS, || 256);
    }
}

section! {
    CorsInput {
        /// [Origins](api.md#cross-origin-requests) whose pages may call the API: `https://app.example.com`.
        allowed_origins: ValueList<String> = list(ORIGIN, 64, "none");
    }
}

section! {
    /// One entry of `control.rate_limits`.
    ControlLimitInput {
        /// Key, or IP address (IPv6: /64).
        dimension: Option<Input<Dimension>> = required(Words::or_later(
            &[("key", Dimension::Key), ("ip", Dimension::Address)],
            &["user", "route", "global"],
        ));
        /// Maximum of requests in a window.
        limit: Option<Input<u32>> = required(LIMIT);
        /// Length of the [sliding window](decisions/0020-sliding-windows.md).
        window: Option<Input<Duration>> = required(WINDOW);
        /// With `ip`: requests without a key or session.
        without: Option<Input<LimitSubject>> = optional(Words::new(&[("key", LimitSubject::WithoutKey)]), "");
        /// With `ip`: requests with a session.
        with: Option<Input<LimitSubject>> = optional(Words::new(&[("session", LimitSubject::WithSession)]), "");
        rules: Rule::NotAll(&["without", "with"]), Rule::Values(condition_of_address);
    }
}

section! {
    PublicUrlInput {
        /// The proxy: `https://llm.example.com`, with an optional path.
        proxy: Option<Input<String>> = or_empty(PROXY_URL, "the listener's");
        /// The admin API: `https://tollgate.example.com`.
        control: Option<Input<String>> = or_empty(CONTROL_URL, "the listener's");
    }
}

section! {
    MetricsInput {
        /// The bearer token of [`/metrics`](api.md#health-and-metrics). Without it, only loopback sees metrics.
        token: Option<Input<Secret>> = or_empty(TOKEN, "none");
    }
}

section! {
    StoreInput {
        /// A [PostgreSQL](postgresql.md) server, 15 or later.
        url: Option<Input<Secret>> = or_empty(POSTGRES, "SQLite in `data`");
        /// Whether migrations run at startup.
        migrate: Input<bool> = default(Boolean, || true);
        /// Time for which known keys are valid without the store.
        stale_for: Input<Duration> = default(DurationForm::ANY, || Duration::from_secs(3_600));
    }
}

section! {
    SpoolInput {
        /// Maximum size of all segments.
        max_size: Input<u64> = default(SizeForm::new(MIB, 1_024 * GIB), || GIB);
        /// Usage survives the end of the process, or also a power failure.
        durability: Input<Durability> = default(DURABILITY, || Durability::Process);
    }
}

section! {
    RetentionInput {
        /// Retention of requests, attempts and counts per minute.
        events: Input<Option<Duration>> = default(RETENTION, || Some(90 * DAY));
        /// Retention of the providers' usage objects.
        raw_usage: Input<Option<Duration>> = default(RETENTION, || Some(30 * DAY));
    }
}

section! {
    LeaseInput {
        /// Validity of a lease without renewal.
        ttl: Input<Duration> = default(LEASE_TTL, || Duration::from_secs(2));
        /// Time for which a request waits for other nodes.
        recall_wait: Input<Duration> = default(RECALL_WAIT, || Duration::from_millis(250));
    }
}

const WORKERS: WordOr<Whole<u32>> = WordOr::new("auto", Whole::new(1, WORKERS_MAX as u64));
/// Each request in flight uses several kilobytes of memory.
const IN_FLIGHT: Whole<u32> = Whole::new(1, 1_000_000);
/// Each connection uses a file descriptor and several kilobytes of memory.
const CONTROL_CONNECTIONS: Whole<u32> = Whole::new(1, 100_000);
/// A connection ends after ten minutes, so that no call can take longer.
const CALL_TIMEOUT: DurationForm = DurationForm::new(Duration::from_secs(1), Duration::from_secs(600));
/// A start may ingest the spool of a process that was killed.
const UPGRADE_TIMEOUT: DurationForm = DurationForm::new(Duration::from_secs(1), Duration::from_secs(600));
const PROXY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const CONTROL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8787);

/// Longest brand name, in characters.
const BRAND_LEN_MAX: usize = 64;
const BRAND: TextForm<String> = TextForm {
    parse: |name| {
        let has_length = (1..=BRAND_LEN_MAX).contains(&name.chars().count());
        accept(name, has_length && !name.chars().any(char::is_control), "1 to 64 characters")
    },
    shown: |name| Value::text(name),
    cell: "1 to 64 characters",
    pattern: r"^.{1,64}$",
    scalar: Scalar::Any,
};
const KEY_PREFIX: TextForm<String> = TextForm {
    parse: |prefix| {
        if api_key::is_prefix(prefix) {
            return Ok(prefix.to_owned());
        }
        Err(FormRefusal::Bad(format!("1 to {} characters of a-z and 0-9", api_key::PREFIX_LEN_MAX)))
    },
    shown: |prefix| Value::text(prefix),
    cell: "1 to 32 of a-z, 0-9",
    pattern: "^[a-z0-9]{1,32}$",
    scalar: Scalar::Whole,
};
const LOG_FORMAT: Words<LogFormat> = Words::new(&[("json", LogFormat::Json), ("text", LogFormat::Text)]);
const LEVEL: Words<&str> =
    Words::new(&[("error", "error"), ("warn", "warn"), ("info", "info"), ("debug", "debug"), ("trace", "trace")]);
const MODULES: &str = "names of modules: `proxy`, `ledger::ingest`";
const MODULE_PATTERN: &str = "^[a-z0-9_]+(::[a-z0-9_]+)*$";

/// Whether `path` names a module in the syntax of the log's filter: identifiers joined by `::`.
fn is_module(path: &str) -> bool {
    path.split("::").all(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

const FOLDER: TextForm<PathBuf> = TextForm {
    parse: |path| accept(path, !path.is_empty() && !path.contains('\0'), "a folder").map(PathBuf::from),
    shown: |path| Value::text(path.display()),
    cell: "folder",
    pattern: "^.",
    scalar: Scalar::Any,
};
const ORIGIN: TextForm<String> = TextForm {
    parse: |text| {
        let expected = "an origin as browsers write it: https://app.example.com, or with a port";
        browser_origin(text).ok_or_else(|| bad(expected))
    },
    shown: |origin| Value::text(origin),
    cell: "origin",
    pattern: r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@*]+/*$",
    scalar: Scalar::Text,
};

/// Only requests that are counted by address have a condition.
fn condition_of_address() -> Json {
    let has_condition = json!({"anyOf": [json::given("without"), json::given("with")]});
    json!({"if": has_condition, "then": {"properties": {"dimension": {"not": {"const": "key"}}}}})
}

/// The limit of a window.
pub(super) const LIMIT: Whole<u32> = Whole::new(1, window::LIMIT_MAX as u64);
pub(super) const WINDOW: DurationForm = DurationForm::new(Duration::from_secs(1), window::LENGTH_MAX);

const PROXY_URL: TextForm<String> = TextForm {
    parse: |text| {
        let expected = "http://HOST[:PORT][/PATH] or https://…; of other signs only - . _ ~ / and %";
        public_url(text).map(|(_, url)| url).ok_or_else(|| bad(expected))
    },
    shown: |url| Value::text(url),
    cell: "URL",
    pattern: r"^[Hh][Tt][Tt][Pp][Ss]?://[A-Za-z0-9:/._~%\[\]-]+$",
    scalar: Scalar::Text,
};
const CONTROL_URL: TextForm<String> = TextForm {
    parse: |text| {
        let url = public_url(text).filter(|(origin, _)| origin.path.is_empty()).map(|(_, url)| url);
        url.ok_or_else(|| bad("http://HOST[:PORT] or https://…, without a path"))
    },
    shown: |url| Value::text(url),
    cell: "URL without a path",
    pattern: r"^[Hh][Tt][Tt][Pp][Ss]?://[A-Za-z0-9:._~%\[\]-]+/*$",
    scalar: Scalar::Text,
};

/// Parses a URL as people write it and removes a final slash. It is written into shell scripts and files of clients, so
/// it must not contain characters with a meaning there, or characters that need quotes.
fn public_url(text: &str) -> Option<(Origin, String)> {
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'/' | b'.' | b'-' | b'_' | b'~' | b'%' | b'[' | b']')
    };
    if !text.bytes().all(is_plain) {
        return None;
    }
    let origin = Origin::parse(text).ok()?;
    if origin.scheme == Scheme::H2c {
        return None;
    }
    let url = origin.to_string();
    Some((origin, url))
}

/// Longest token of `/metrics`, in bytes.
const TOKEN_LEN_MAX: usize = 4_096;
const TOKEN: TextForm<Secret> = TextForm {
    parse: |token| {
        let is_valid = token.len() <= TOKEN_LEN_MAX && token.bytes().all(|byte| byte.is_ascii_graphic());
        accept(token, is_valid, "1 to 4,096 visible ASCII characters without a space").map(Secret::new)
    },
    shown: Value::secret,
    cell: "1 to 4,096 visible ASCII characters",
    pattern: "^[!-~]{1,4096}$",
    scalar: Scalar::Any,
};
const POSTGRES: TextForm<Secret> = TextForm {
    parse: |url| {
        let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
        accept(url, is_postgres, "postgres://USER:PASSWORD@HOST:PORT/DATABASE").map(Secret::new)
    },
    shown: Value::secret,
    cell: "`postgres://USER:PASSWORD@HOST:PORT/DATABASE`",
    pattern: "^postgres(ql)?://",
    scalar: Scalar::Text,
};
const REDIS: TextForm<Secret> = TextForm {
    parse: |url| {
        let expected = "redis://[USER:PASSWORD@]HOST[:PORT][/NUMBER], or rediss:// with TLS";
        accept(url, is_redis(url), expected).map(Secret::new)
    },
    shown: Value::secret,
    cell: "`redis://[USER:PASSWORD@]HOST[:PORT][/NUMBER]`, `rediss://` with TLS",
    pattern: "^rediss?://.",
    scalar: Scalar::Text,
};

/// Whether the URL names a host; the library that connects checks the rest.
fn is_redis(url: &str) -> bool {
    let rest = url.strip_prefix("redis://").or_else(|| url.strip_prefix("rediss://"));
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let host = authority.and_then(|authority| authority.rsplit('@').next());
    host.is_some_and(|host| !host.is_empty() && !host.starts_with(':'))
}

const DURABILITY: Words<Durability> =
    Words::new(&[(Durability::Process.as_str(), Durability::Process), (Durability::Power.as_str(), Durability::Power)]);
const RETENTION: WordOr<DurationForm> = WordOr::new("forever", DurationForm::new(DAY, YEAR));
/// A lease must outlive several ticks of a tenth of a second, and a request waits for some of them.
const LEASE_TTL: DurationForm = DurationForm::new(Duration::from_secs(1), Duration::from_secs(60));
const RECALL_WAIT: DurationForm = DurationForm::new(Duration::from_millis(50), Duration::from_secs(10));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_has_a_host() {
        for (url, is) in [
            ("redis://localhost", true),
            ("rediss://user:p%40ss@[::1]:6380/2", true),
            ("redis://:password@host", true),
            ("redis://", false),
            ("redis://user:password@", false),
            ("redis://:6379", false),
            ("http://host", false),
            ("host:6379", false),
        ] {
            assert_eq!(is_redis(url), is, "{url}");
        }
    }

    #[test]
    fn a_public_url_can_stand_in_a_script() {
        let read = |text: &str| public_url(text).map(|(_, url)| url);
        for (text, expected) in [
            ("http://localhost:8080", "http://localhost:8080"),
            ("https://API.Example.com:443/", "https://api.example.com"),
            ("https://example.com/llm/v%201/~a_b", "https://example.com/llm/v%201/~a_b"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "localhost:8080",
            "h2c://localhost",
            "ftp://localhost",
            "https://user:password@example.com",
            "https://example.com/?a=b",
            "https://example.com/#a",
            "https://example.com/'",
            "https://example.com/\"",
            "https://example.com/$HOME",
            "https://example.com/`id`",
            "https://example.com/\\",
            "https://example.com/;id",
            "https://example.com/&id",
            "https://example.com/|id",
            "https://example.com/a b",
            "https://example.com/\n",
            "https://example.com/é",
            "https://example.com/(a)",
            "https://example.com/{a}",
            "https://example.com/a,b",
            "https://example.com/!a",
            "https://example.com/*",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
