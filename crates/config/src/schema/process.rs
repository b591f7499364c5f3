//! The keys whose change needs a restart: listeners, folders, stores, and the admin API.

mod billing;
mod config_source;
mod export;
mod mail;
mod traces;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use access::Secret;
use access::credentials::api_key;
use ipnet::IpNet;
use meter::window;
use serde_json::{Value as Json, json};
use settings::documents::json;
use settings::field::{
    Either, Entries, ValueList, default, entries, list, maybe_nested, nested, optional, or_empty, required, sections,
    single_or,
};
use settings::form::{Boolean, DurationForm, FormRefusal, Scalar, TextForm, Whole, WordOr, Words, accept, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::{RestartKeys, Rule};
use tls::ListenAddress;

pub(crate) use self::billing::{BillingInput, ExchangeInput, MidtransInput, SellerInput, TaxInput};
use self::config_source::ConfigSourceInput;
pub(crate) use self::export::ExportInput;
pub(crate) use self::mail::MailInput;
pub(crate) use self::traces::TracesInput;
use super::color::COLOR;
use super::listen::{ADDRESS, CertificateInput, ListenerInput, SOCKET_MODE, SOCKET_MODE_DEFAULT};
use super::network::NETWORK;
use crate::snapshot::process_keys::{
    ApiReferencesInput, CONTROL_CONNECTIONS, ControlConnectionsInput, DrainInput, LeaseInput, LogInput, MetricsInput,
    PublicUrlInput, ReadinessInput, RetentionInput, SpoolInput, StoreInput, UpgradeInput, WebhooksInput,
};
use crate::snapshot::{Dimension, LimitSubject, WORKERS_MAX, browser_origin};

section! {
    /// What a reload cannot change.
    ProcessInput {
        /// The product's name, and its form in keys.
        brand: BrandInput = nested::<BrandInput>();
        /// The addresses of the proxy.
        listen: Option<Either<ListenAddress, Vec<Either<ListenAddress, ListenerInput>>>> = single_or(
            ADDRESS,
            entries::<_, ListenerInput>(ADDRESS, "at least one HOST:PORT or {address: HOST:PORT}"),
            Some(|| PROXY.into()),
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
        /// The conditions under which `/readyz` fails.
        readiness: ReadinessInput = nested::<ReadinessInput>();
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
        addr: Option<Input<ListenAddress>> = or_empty(ADDRESS, "`control.listen` applies");
        /// A short form of `control.connections.max`.
        max_connections: Option<Input<u32>> = or_empty(CONTROL_CONNECTIONS, "`control.connections.max` applies");
        /// A short form of `control.timeout`, in seconds.
        timeout_seconds: Option<Input<u32>> = or_empty(Whole::<u32>::new(1, 600), "`control.timeout` applies");
        /// [Example files](insights.md#examples) that the insights endpoints return.
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
        /// The account of the payment provider [Midtrans](billing.md#payments).
        midtrans: MidtransInput = nested::<MidtransInput>();
        /// The server that takes the [mails](billing.md#mails) of billing. Without it, no mails are sent.
        mail: Option<MailInput> = maybe_nested::<MailInput>();
        /// Where requests may go whose destination users of the API set: [webhooks](billing.md#webhooks).
        outbound: OutboundInput = nested::<OutboundInput>();
        /// The bounds of deliveries of [webhooks](billing.md#webhooks).
        webhooks: WebhooksInput = nested::<WebhooksInput>();
        restart: RestartKeys::All;
    }
}

section! {
    OutboundInput {
        /// Networks besides the public Internet, also without `https`. Link-local addresses and the gateway's own ports remain refused.
        allow: ValueList<Vec<IpNet>> = list(NETWORK, 256, "none");
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
        color: Option<Input<String>> = optional(COLOR, "the product's");
    }
}

section! {
    ConnectionsInput {
        /// Maximum of open connections.
        max: Input<u32> = default(Whole::u32_from(1), || 20_000);
        /// Maximum of open connections of one address (IPv6: /64); `trusted_proxies` are exempt.
        per_address: Input<u32> = default(Whole::u32_from(1), || 1_000);
        /// Time after which a silent connection of a client or to a backend is probed by TCP, every 15 s and at most 4 times.
        keep_alive: Input<Option<Duration>> = default(KEEP_ALIVE, || Some(Duration::from_secs(60)));
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
    ControlInput {
        /// The address of the [admin API](api.md).
        listen: Input<ListenAddress> = default(ADDRESS, || CONTROL.into());
        /// The permissions of the file of a Unix socket, in octal digits, in quotes.
        socket_mode: Input<u32> = default(SOCKET_MODE, || SOCKET_MODE_DEFAULT);
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
        /// With `ip`: requests of each session.
        with: Option<Input<LimitSubject>> = optional(Words::new(&[("session", LimitSubject::WithSession)]), "");
        rules: Rule::NotAll(&["without", "with"]), Rule::Values(condition_of_address);
    }
}

const WORKERS: WordOr<Whole<u32>> = WordOr::new("auto", Whole::new(1, WORKERS_MAX as u64));
/// Each request in flight uses several kilobytes of memory.
const IN_FLIGHT: Whole<u32> = Whole::new(1, 1_000_000);
/// A connection ends after ten minutes, so that no call can take longer.
/// The times that Linux accepts (tcp(7)).
const KEEP_ALIVE: WordOr<DurationForm> =
    WordOr::new("off", DurationForm::new(Duration::from_secs(1), Duration::from_secs(32_767)));
const CALL_TIMEOUT: DurationForm = DurationForm::new(Duration::from_secs(1), Duration::from_secs(600));
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
}
