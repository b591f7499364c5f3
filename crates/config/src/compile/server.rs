//! Compiles the sections about the process itself: listeners, bounds, deadlines, logs, folders.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use access::{Secret, api_key};

use crate::error::{At, Code, Problem};
use crate::grammar;
use crate::load::Flags;
use crate::section::{Section, Text};
use crate::snapshot::{
    Brand, Connections, Drain, Durability, Lease, Log, LogFormat, OnHangup, Retention, Sizes, Spool, Store, Timeouts,
};
use crate::unit;
use crate::yaml::{Kind, Node};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Longest brand name, in characters.
const BRAND_LEN_MAX: usize = 64;
/// Hyper refuses a smaller buffer for heads.
const HEADERS_BYTES_MIN: u64 = 8 * KIB;
const HEADERS_BYTES_MAX: u64 = 16 * MIB;
const PROXY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
pub(super) const ADDRESS: &str = "an IP address and a port: 127.0.0.1:8080 or \"[::1]:8080\"";

const POSTGRES: &str = "postgres://USER:PASSWORD@HOST:PORT/DATABASE";

const DAY: Duration = Duration::from_secs(86_400);
const FOREVER: &str = "forever";

/// Deadlines if the file has none.
pub(super) const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(2),
    first_byte: Duration::from_secs(60),
    idle: Duration::from_secs(60),
    total: Duration::from_secs(15 * 60),
};

pub(super) fn brand(root: &Section<'_>) -> Brand {
    let section = root.section("brand", &grammar::BRAND);
    let section = section.as_ref();
    let is_shown =
        |name: &str| (1..=BRAND_LEN_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    let name = section
        .and_then(|brand| brand.parsed("name", "1 to 64 characters", |name| is_shown(name).then(|| name.to_owned())));
    let key_prefix = section.and_then(|brand| {
        let expected = format!("1 to {} characters of a-z and 0-9", api_key::PREFIX_LEN_MAX);
        brand.parsed("key_prefix", &expected, |prefix| api_key::is_prefix(prefix).then(|| prefix.to_owned()))
    });
    let name = name.unwrap_or_else(|| "Tollgate".to_owned());
    let key_prefix = key_prefix.unwrap_or_else(|| prefix_of(&name));
    Brand { name, key_prefix }
}

/// Returns the default key prefix of a brand: the name's ASCII letters and digits, in lowercase. A name without any
/// gets a prefix that names no product.
fn prefix_of(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric).take(api_key::PREFIX_LEN_MAX);
    let prefix: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    if prefix.is_empty() { "gateway".to_owned() } else { prefix }
}

/// Returns the proxy's listeners; all addresses, including the control listener's, must differ.
pub(super) fn listen(root: &Section<'_>, flags: &Flags, control: SocketAddr) -> Vec<SocketAddr> {
    let configured = addresses(root);
    if let Some(listen) = flags.listen {
        if listen == control && listen.port() != 0 {
            root.reader().report(Problem::new(
                Code::Duplicate,
                None,
                format!("the proxy and control both listen on {listen}"),
            ));
        }
        return vec![listen];
    }
    let mut taken = HashSet::new();
    for (at, address) in &configured {
        if address.port() != 0 && (*address == control || !taken.insert(*address)) {
            let message = format!("two listeners have the address {address}");
            root.reader().report(Problem::new(Code::Duplicate, *at, message).expected("another address or port"));
        }
    }
    if configured.is_empty() { vec![PROXY] } else { configured.into_iter().map(|(_, address)| address).collect() }
}

fn addresses(root: &Section<'_>) -> Vec<(At, SocketAddr)> {
    let Some(node) = root.get("listen") else {
        return Vec::new();
    };
    let texts: Vec<(Section<'_>, Text)> = match &node.kind {
        Kind::List(items) if items.is_empty() => {
            root.bad(node.at, "listen", "at least one {address: HOST:PORT}");
            return Vec::new();
        }
        Kind::List(_) => root
            .sections("listen", &grammar::LISTENER)
            .filter_map(|listener| listener.required("address").map(|text| (listener, text)))
            .collect(),
        Kind::Scalar(_) | Kind::Map(_) | Kind::Null => {
            return root
                .text("listen")
                .and_then(|text| Some((text.at, parse_address(root, "listen", &text)?)))
                .into_iter()
                .collect();
        }
    };
    texts.iter().filter_map(|(listener, text)| Some((text.at, parse_address(listener, "address", text)?))).collect()
}

fn parse_address(section: &Section<'_>, key: &str, text: &Text) -> Option<SocketAddr> {
    let address = text.value.parse().ok();
    if address.is_none() {
        section.bad(text.at, key, ADDRESS);
    }
    address
}

pub(super) fn connections(root: &Section<'_>) -> Connections {
    let section = root.section("connections", &grammar::CONNECTIONS);
    let value = |key, default| section.as_ref().and_then(|section| section.whole_u32(key, 1)).unwrap_or(default);
    Connections {
        max: value("max", 20_000),
        per_address: value("per_address", 1_000),
        in_flight_per_key: value("in_flight_per_key", 1_000),
    }
}

pub(super) fn drain(root: &Section<'_>) -> Drain {
    let section = root.section("drain", &grammar::DRAIN);
    let value = |key, default_s| {
        section.as_ref().and_then(|section| section.duration(key)).unwrap_or(Duration::from_secs(default_s))
    };
    Drain { delay: value("delay", 2), timeout: value("timeout", 30) }
}

pub(super) fn log(root: &Section<'_>, flags: &Flags) -> Log {
    const LEVELS: [(&str, &str); 5] =
        [("error", "error"), ("warn", "warn"), ("info", "info"), ("debug", "debug"), ("trace", "trace")];
    let section = root.section("log", &grammar::LOG);
    let section = section.as_ref();
    let format = section.and_then(|log| log.word("format", &[("json", LogFormat::Json), ("text", LogFormat::Text)]));
    let level = section.and_then(|log| log.word("level", &LEVELS)).unwrap_or("info").to_owned();
    let mut modules = Vec::new();
    if let (Some(log), Some(entries)) = (section, section.map(|log| log.entries("modules"))) {
        let levels = log.reader();
        for (key, node) in entries {
            if !is_module(&key.name) {
                log.bad(key.at, "modules", "names of modules: `proxy`, `store::ingest`");
            }
            let path = match key.at {
                At::File(_) => format!("log.modules.{}", key.name),
                At::Variable(_) => "log.modules".to_owned(),
            };
            let Some(text) = levels.text(node, &path) else {
                continue;
            };
            match LEVELS.iter().find(|(word, _)| *word == text.value) {
                Some((word, _)) => modules.push((key.name.clone(), (*word).to_owned())),
                None => log.bad(text.at, "modules", crate::section::one_of(LEVELS.iter().map(|(word, _)| *word))),
            }
        }
    }
    Log { format: flags.log.or(format), level, modules }
}

/// Whether `path` names a module in the syntax of the log's filter: identifiers joined by `::`.
fn is_module(path: &str) -> bool {
    path.split("::").all(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

pub(super) fn data(root: &Section<'_>, flags: &Flags) -> PathBuf {
    let path =
        root.parsed("data", "a folder", |path| (!path.is_empty() && !path.contains('\0')).then(|| PathBuf::from(path)));
    flags.data.clone().or(path).unwrap_or_else(|| PathBuf::from("./tollgate-data"))
}

pub(super) fn store(root: &Section<'_>) -> Store {
    let section = root.section("store", &grammar::STORE);
    let section = section.as_ref();
    let url = section.and_then(|store| {
        let url = store.text("url").filter(|url| !url.value.is_empty())?;
        if !is_postgres(&url.value) {
            store.bad(url.at, "url", POSTGRES);
        }
        Some(Secret::new(url.value))
    });
    Store {
        url,
        migrate: section.and_then(|store| store.boolean("migrate")).unwrap_or(true),
        stale_for: section.and_then(|store| store.duration("stale_for")).unwrap_or(Duration::from_secs(3_600)),
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

pub(super) fn spool(root: &Section<'_>) -> Spool {
    let section = root.section("spool", &grammar::SPOOL);
    let section = section.as_ref();
    let words = Durability::ALL.map(|durability| (durability.as_str(), durability));
    let durability = section.and_then(|spool| spool.word("durability", &words));
    let size = section.and_then(|spool| spool.size("max_size", &(MIB..=1_024 * GIB), "from 1MiB to 1TiB"));
    Spool { size_bytes_max: size.unwrap_or(GIB), durability: durability.unwrap_or_default() }
}

pub(super) fn retention(root: &Section<'_>) -> Retention {
    let section = root.section("retention", &grammar::RETENTION);
    let kept = |key| {
        let expected = format!("{}, from 1d to 366d, or `{FOREVER}`", unit::DURATION);
        section.as_ref()?.parsed(key, &expected, |text| match text {
            FOREVER => Some(None),
            text => unit::duration(text).filter(|kept| *kept >= DAY).map(Some),
        })
    };
    let (events, raw_usage) = (kept("events"), kept("raw_usage"));
    Retention { events: events.unwrap_or(Some(90 * DAY)), raw_usage: raw_usage.unwrap_or(Some(30 * DAY)) }
}

/// A lease must outlive several ticks of a tenth of a second, and a request waits for some of them.
pub(super) fn lease(root: &Section<'_>) -> Lease {
    let section = root.section("lease", &grammar::LEASE);
    let within = |key, range: RangeInclusive<Duration>, bounds| {
        let expected = format!("{}, {bounds}", unit::DURATION);
        let section = section.as_ref()?;
        section.parsed(key, &expected, |text| unit::duration(text).filter(|time| range.contains(time)))
    };
    let (ms, seconds) = (Duration::from_millis, Duration::from_secs);
    Lease {
        ttl: within("ttl", seconds(1)..=seconds(60), "from 1s to 1m").unwrap_or(seconds(2)),
        recall_wait: within("recall_wait", ms(50)..=seconds(10), "from 50ms to 10s").unwrap_or(ms(250)),
    }
}

/// Returns `timeouts` of `section`, with `defaults` for missing values.
pub(super) fn timeouts(section: Option<&Section<'_>>, defaults: Timeouts) -> Timeouts {
    let value = |key, default| section.and_then(|section| section.deadline(key)).unwrap_or(default);
    Timeouts {
        connect: value("connect", defaults.connect),
        first_byte: value("first_byte", defaults.first_byte),
        idle: value("idle", defaults.idle),
        total: value("total", defaults.total),
    }
}

pub(super) fn sizes(root: &Section<'_>) -> Sizes {
    let section = root.section("sizes", &grammar::SIZES);
    let section = section.as_ref();
    let headers =
        section.and_then(|sizes| sizes.size("headers", &(HEADERS_BYTES_MIN..=HEADERS_BYTES_MAX), "from 8KiB to 16MiB"));
    let bytes = |key, default| {
        section.and_then(|sizes| sizes.size(key, &(1..=u64::MAX), "and greater than zero")).unwrap_or(default)
    };
    Sizes {
        headers_bytes_max: headers.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(64 << 10),
        body_bytes_max: bytes("body", 32 * MIB),
        buffered_bytes_max: bytes("buffered", 256 * MIB),
    }
}

pub(super) fn on_hangup(root: &Section<'_>) -> OnHangup {
    const DRAIN: OnHangup = OnHangup::Drain { bytes_max: 64 * KIB, within: Duration::from_secs(10) };
    if !matches!(root.get("on_hangup"), Some(Node { kind: Kind::Map(_), .. })) {
        return root.word("on_hangup", &[("cancel", OnHangup::Cancel), ("drain", DRAIN)]).unwrap_or(OnHangup::Cancel);
    }
    let Some(section) = root.section("on_hangup", &grammar::ON_HANGUP) else { return OnHangup::Cancel };
    if section.get("drain").is_none() {
        section.missing("drain");
    }
    let Some(drain) = section.section("drain", &grammar::HANGUP_DRAIN) else { return DRAIN };
    OnHangup::Drain {
        bytes_max: drain.size("bytes", &(1..=u64::MAX), "and greater than zero").unwrap_or(64 * KIB),
        within: drain.deadline("for").unwrap_or(Duration::from_secs(10)),
    }
}
