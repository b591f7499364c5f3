//! Sections of plain values whose change needs a restart: the declaration of their keys is also that of their structs in
//! [`Process`](super::Process).

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use access::Secret;
use settings::field::{Map, ValueList, default, list, optional, or_empty};
use settings::form::{Boolean, DurationForm, Scalar, SizeForm, TextForm, Whole, WordOr, Words, accept, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::substitute::is_variable_name;

use super::origin::{Origin, Scheme};

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const GIB: u64 = 1 << 30;
const DAY: Duration = Duration::from_secs(86_400);
/// The longest duration that a value can have.
const YEAR: Duration = Duration::from_secs(366 * 86_400);

section! {
    /// The section `drain` of the file.
    DrainInput => #[derive(Copy)] pub Drain {
        /// Time after SIGTERM during which connections are accepted.
        delay: Input<Duration> = default(DurationForm::ANY, || Duration::from_secs(2));
        /// Time after `delay` for requests in flight.
        timeout: Input<Duration> = default(DurationForm::ANY, || Duration::from_secs(30));
    }
}

/// The values of `readiness.store_outage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOutage {
    /// The node stays ready, unless Redis shows that another node reaches the store.
    Stay,
    /// The node is not ready, also if no other node is.
    Fail,
}

const STORE_OUTAGE: Words<StoreOutage> = Words::new(&[("stay", StoreOutage::Stay), ("fail", StoreOutage::Fail)]);
/// A node polls the store every 250 ms.
const OUTAGE_AFTER: DurationForm = DurationForm::new(Duration::from_secs(5), Duration::from_secs(600));

section! {
    /// The section `readiness` of the file.
    ReadinessInput => #[derive(Copy)] pub ReadinessSettings {
        /// Whether a node without the store [fails `/readyz`](deployment.md#readiness): `stay` only while Redis shows that another node reaches the store.
        store_outage: Input<StoreOutage> = default(STORE_OUTAGE, || StoreOutage::Stay);
        /// Time without the store after which that applies.
        after: Input<Duration> = default(OUTAGE_AFTER, || Duration::from_secs(10));
    }
}

/// A start may ingest the spool of a process that was killed.
const UPGRADE_TIMEOUT: DurationForm = DurationForm::new(Duration::from_secs(1), Duration::from_secs(600));

section! {
    /// The section `upgrade` of the file.
    UpgradeInput => #[derive(Copy)] pub UpgradeSettings {
        /// Maximum time until the new process is ready.
        timeout: Input<Duration> = default(UPGRADE_TIMEOUT, || Duration::from_secs(60));
    }
}

/// The values of `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Lines of text for people.
    Text,
}

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

section! {
    /// The section `log` of the file.
    LogInput => pub Log {
        /// The format of log lines.
        format: Option<Input<LogFormat>> = optional(LOG_FORMAT, "`text` on a terminal, else `json`");
        /// The lowest level that is logged.
        level: Input<&'static str> = default(LEVEL, || "info");
        /// Levels of single modules: `{proxy: debug, "ledger::ingest": warn}`.
        modules: Vec<(String, Input<&'static str>)> = Map::new(LEVEL, is_module, MODULES, MODULE_PATTERN);
    }
}

/// Each connection uses a file descriptor and several kilobytes of memory.
pub(crate) const CONTROL_CONNECTIONS: Whole<u32> = Whole::new(1, 100_000);

section! {
    /// The section `control.connections` of the file.
    ControlConnectionsInput => #[derive(Copy)] pub ControlConnections {
        /// Maximum of open connections; a new one replaces an idle one.
        max: Input<u32> = default(CONTROL_CONNECTIONS, || 1_024);
        /// Maximum of open connections of one address (IPv6: /64); `trusted_proxies` are exempt.
        per_address: Input<u32> = default(CONTROL_CONNECTIONS, || 256);
    }
}

/// Variables of the installation, which `control.config.variables` must not list.
const INSTALLATION_SECRETS: [&str; 5] =
    ["MASTER_ENCRYPTION_KEY", "MASTER_ENCRYPTION_KEY_PREVIOUS", "JWT_SECRET", "DATABASE_URL", "REDIS_URL"];

const PUBLIC_FOLDER: TextForm<PathBuf> = TextForm {
    parse: |path| {
        let names = Path::new(path).components().filter(|part| matches!(part, Component::Normal(_))).count();
        let is_plain = Path::new(path).components().all(|part| part != Component::ParentDir);
        let is_valid = path.starts_with('/') && names > 0 && is_plain && !path.contains('\0');
        accept(path, is_valid, "the absolute path of a folder: /etc/tollgate/public").map(PathBuf::from)
    },
    shown: |path| Value::text(path.display()),
    cell: "absolute path",
    pattern: "^/.",
    scalar: Scalar::Text,
};
const VARIABLE: TextForm<String> = TextForm {
    parse: |name| {
        accept(name, is_variable_name(name), "the name of a variable: API_PORT")?;
        let expected = "a variable that is no secret of the installation";
        accept(name, !INSTALLATION_SECRETS.contains(&name), expected)
    },
    shown: |name| Value::text(name),
    cell: "name",
    pattern: "^[A-Za-z_][A-Za-z0-9_]*$",
    scalar: Scalar::Any,
};

section! {
    /// The section `control.config` of the file.
    ApiReferencesInput => #[derive(Default, PartialEq, Eq)] pub ApiReferences {
        /// Folders with files (at most 4 MiB) that a [configuration of the API](live-configuration.md#references-of-the-api) may name.
        files: ValueList<PathBuf> = list(PUBLIC_FOLDER, 16, "none");
        /// Variables that such a configuration may name: `API_PORT`.
        variables: ValueList<String> = list(VARIABLE, 64, "none");
    }
}

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

section! {
    /// The section `public_url` of the file.
    PublicUrlInput => pub PublicUrl {
        /// The proxy: `https://llm.example.com`, with an optional path.
        proxy: Option<Input<String>> = or_empty(PROXY_URL, "the listener's");
        /// The admin API: `https://tollgate.example.com`.
        control: Option<Input<String>> = or_empty(CONTROL_URL, "the listener's");
    }
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

section! {
    /// The section `metrics` of the file.
    MetricsInput => pub MetricsAccess {
        /// The bearer token of [`/metrics`](api.md#health-and-metrics). Without it, only loopback sees metrics.
        token: Option<Input<Secret>> = or_empty(TOKEN, "none");
    }
}

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

section! {
    /// The section `store` of the file.
    StoreInput => pub StoreSettings {
        /// A [PostgreSQL](postgresql.md) server, 15 or later.
        url: Option<Input<Secret>> = or_empty(POSTGRES, "SQLite in `data`");
        /// Whether migrations run at startup.
        migrate: Input<bool> = default(Boolean, || true);
        /// Maximum time without the store for which known keys remain valid.
        stale_for: Input<Duration> = default(DurationForm::ANY, || Duration::from_secs(3_600));
    }
}

/// The values of `spool.durability`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Records survive the death of the process.
    #[default]
    Process,
    /// Records survive a power failure too.
    Power,
}

impl Durability {
    /// Every durability, in order of declaration.
    pub const ALL: [Self; 2] = [Self::Process, Self::Power];

    /// Returns the word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Power => "power",
        }
    }
}

const DURABILITY: Words<Durability> =
    Words::new(&[(Durability::Process.as_str(), Durability::Process), (Durability::Power.as_str(), Durability::Power)]);

section! {
    /// The section `spool` of the file.
    SpoolInput => #[derive(Copy)] pub SpoolSettings {
        /// Maximum size of all segments.
        max_size: Input<u64> = default(SizeForm::new(MIB, 1_024 * GIB), || GIB);
        /// Usage survives the end of the process, or also a power failure.
        durability: Input<Durability> = default(DURABILITY, || Durability::Process);
    }
}

const RETENTION: WordOr<DurationForm> = WordOr::new("forever", DurationForm::new(DAY, YEAR));

section! {
    /// The section `retention` of the file.
    RetentionInput => #[derive(Copy)] pub Retention {
        /// Retention of requests, attempts and counts per minute.
        events: Input<Option<Duration>> = default(RETENTION, || Some(90 * DAY));
        /// Retention of the providers' usage objects.
        raw_usage: Input<Option<Duration>> = default(RETENTION, || Some(30 * DAY));
    }
}

const WEBHOOK_TIMEOUT: DurationForm = DurationForm::new(Duration::from_secs(1), Duration::from_secs(60));
const WEBHOOK_RETRY_FOR: DurationForm = DurationForm::new(Duration::from_secs(60), DAY.saturating_mul(7));

section! {
    /// The section `webhooks`: the bounds of deliveries of webhooks.
    WebhooksInput => #[derive(Copy)] pub Webhooks {
        /// Maximum duration of an attempt.
        timeout: Input<Duration> = default(WEBHOOK_TIMEOUT, || Duration::from_secs(10));
        /// Maximum time for which a delivery is attempted.
        retry_for: Input<Duration> = default(WEBHOOK_RETRY_FOR, || DAY);
    }
}

/// A lease must outlive several ticks of a tenth of a second, and a request waits for some of them.
const LEASE_TTL: DurationForm = DurationForm::new(Duration::from_secs(1), Duration::from_secs(60));
const RECALL_WAIT: DurationForm = DurationForm::new(Duration::from_millis(50), Duration::from_secs(10));

section! {
    /// The section `lease`: how nodes with one PostgreSQL share quotas and budgets. All nodes must have the same values.
    LeaseInput => #[derive(Copy)] pub Lease {
        /// Validity of a lease without renewal.
        ttl: Input<Duration> = default(LEASE_TTL, || Duration::from_secs(2));
        /// Maximum time that a request waits for other nodes.
        recall_wait: Input<Duration> = default(RECALL_WAIT, || Duration::from_millis(250));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
