//! Access to the control API: allowed origins, rate limits, and the proxies that Tollgate trusts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use access::{Secret, bounds};
use ipnet::IpNet;
use meter::window;

use super::server::ADDRESS;
use crate::error::{Code, Problem};
use crate::grammar;
use crate::load::Flags;
use crate::section::Section;
use crate::snapshot::{Control, Dimension, LimitSubject, Origin, Scheme, WindowLimit};
use crate::unit;
use crate::yaml::{Kind, Node};

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8787);

const MINUTE: Duration = Duration::from_secs(60);
const HUNDRED: NonZeroU32 = NonZeroU32::new(100).unwrap();
const TWENTY: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// Limits of the control API if the file has none of the same kind.
const CONTROL_LIMITS: [WindowLimit; 3] = [
    a_minute(Dimension::Key, LimitSubject::Everybodys, HUNDRED),
    a_minute(Dimension::Address, LimitSubject::WithoutKey, TWENTY),
    a_minute(Dimension::Address, LimitSubject::WithSession, HUNDRED),
];
/// The proxy's limit for requests without a valid key, if the file has none.
const UNAUTHENTICATED: WindowLimit = a_minute(Dimension::Address, LimitSubject::WithoutKey, HUNDRED);

/// Maximum number of limits of one kind. A request has at most two kinds, and all of their limits are checked together.
const SAME_KIND_MAX: usize = 2;
const WINDOW_MIN: Duration = Duration::from_secs(1);
const ORIGINS_MAX: usize = 64;
const PROXIES_MAX: usize = 256;

const ORIGIN: &str = "an origin as browsers write it: https://app.example.com, or with a port";
const PROXY: &str = "an address, a network (10.0.0.0/8) that is not all of them, or `cloudflare`";
const REDIS: &str = "redis://[USER:PASSWORD@]HOST[:PORT][/NUMBER], or rediss:// with TLS";

/// Cloudflare's networks: one network per line, `#` begins a comment.
const CLOUDFLARE: &str = include_str!("cloudflare.txt");

const fn a_minute(dimension: Dimension, whose: LimitSubject, limit: NonZeroU32) -> WindowLimit {
    WindowLimit { dimension, whose, limit, window: MINUTE }
}

pub(super) fn control(root: &Section<'_>, flags: &Flags) -> Control {
    let section = root.section("control", &grammar::CONTROL);
    let section = section.as_ref();
    let listen = section.and_then(|control| control.parsed("listen", ADDRESS, |text| text.parse().ok()));
    let cors = section.and_then(|control| control.section("cors", &grammar::CORS));
    Control {
        listen: flags.addr.or(listen).unwrap_or(LISTEN),
        allowed_origins: cors.as_ref().map(origins).unwrap_or_default(),
        rate_limits: section.map_or(CONTROL_LIMITS.to_vec(), control_limits),
    }
}

fn origins(cors: &Section<'_>) -> Vec<String> {
    let mut origins = Vec::new();
    for (nth, (node, name)) in cors.list("allowed_origins").enumerate() {
        let Some(text) = cors.reader().text(node, &name) else { continue };
        match origin(&text.value).filter(|_| nth < ORIGINS_MAX) {
            Some(origin) if origins.contains(&origin) => {}
            Some(origin) => origins.push(origin),
            None => cors.bad(text.at, "allowed_origins", ORIGIN),
        }
    }
    origins
}

/// Returns the origin as browsers write it (RFC 6454, 6.2): without a path, and without the scheme's default port.
fn origin(text: &str) -> Option<String> {
    let Origin { scheme, authority, path, .. } = Origin::parse(text).ok()?;
    let scheme = match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
        Scheme::H2c => return None,
    };
    path.is_empty().then(|| format!("{scheme}://{authority}"))
}

/// Returns the file's limits, and each default whose kind the file does not limit; an empty list means no limit.
fn control_limits(control: &Section<'_>) -> Vec<WindowLimit> {
    if is_empty_list(control.get("rate_limits")) {
        return Vec::new();
    }
    let mut limits: Vec<WindowLimit> = Vec::new();
    for entry in control.sections("rate_limits", &grammar::CONTROL_LIMIT) {
        if let Some(limit) = control_limit(&entry)
            && has_room(&entry, &limits, limit, SAME_KIND_MAX)
        {
            limits.push(limit);
        }
    }
    let missing = |default: &WindowLimit| limits.iter().all(|limit| kind(*limit) != kind(*default));
    let defaults: Vec<WindowLimit> = CONTROL_LIMITS.into_iter().filter(missing).collect();
    limits.extend(defaults);
    limits
}

const fn kind(limit: WindowLimit) -> (Dimension, LimitSubject) {
    (limit.dimension, limit.whose)
}

/// Whether `limits` has room for another limit of its kind; reports a limit too many.
fn has_room(entry: &Section<'_>, limits: &[WindowLimit], limit: WindowLimit, same_kind_max: usize) -> bool {
    let same = || limits.iter().filter(|other| kind(**other) == kind(limit));
    let is_too_many = same().count() >= same_kind_max;
    if is_too_many || same().any(|other| other.window == limit.window) {
        let message = "one limit too many of this dimension and condition";
        let expected = match same_kind_max {
            1 => "one".to_owned(),
            most => format!("at most {most}, of different windows"),
        };
        entry.reader().report(Problem::new(Code::Duplicate, entry.at, message).expected(expected));
        return false;
    }
    true
}

fn control_limit(entry: &Section<'_>) -> Option<WindowLimit> {
    let dimensions = [("key", Dimension::Key), ("ip", Dimension::Address)];
    entry.required("dimension")?;
    let dimension = entry.word_or_later("dimension", &dimensions, &["user", "route", "global"]);
    let without = entry.word("without", &[("key", LimitSubject::WithoutKey)]);
    let with = entry.word("with", &[("session", LimitSubject::WithSession)]);
    let whose = without.or(with).unwrap_or(LimitSubject::Everybodys);
    let (limit, window) = (limit(entry), window(entry));
    let dimension = dimension?;
    if let Some(node) = entry.get("with").filter(|_| without.is_some()) {
        entry.bad(node.at, "with", "`with` or `without`, not both");
        return None;
    }
    if let Some(node) = entry.get("with").or(entry.get("without"))
        && dimension == Dimension::Key
    {
        entry.bad(node.at, "dimension", "`ip` beside `with` and `without`: every key is counted");
        return None;
    }
    Some(WindowLimit { dimension, whose, limit: limit?, window: window? })
}

/// Returns the only supported limit of the proxy: by address, for requests without a valid key.
pub(super) fn unauthenticated(root: &Section<'_>) -> Option<WindowLimit> {
    if is_empty_list(root.get("rate_limits")) {
        return None;
    }
    let mut limits: Vec<WindowLimit> = Vec::new();
    for entry in root.sections("rate_limits", &grammar::LIMIT) {
        entry.required("dimension");
        let later = ["key", "user", "route", "global"];
        let dimension = entry.word_or_later("dimension", &[("ip", Dimension::Address)], &later);
        if entry.get("without").is_none() {
            entry.not_yet(entry.at, &format!("`{}` without `without: key`", entry.name("").trim_end_matches('.')));
        }
        let whose = entry.word("without", &[("key", LimitSubject::WithoutKey)]);
        if let (Some(dimension), Some(whose), Some(limit), Some(window)) =
            (dimension, whose, limit(&entry), window(&entry))
        {
            let limit = WindowLimit { dimension, whose, limit, window };
            if has_room(&entry, &limits, limit, 1) {
                limits.push(limit);
            }
        }
    }
    Some(limits.first().copied().unwrap_or(UNAUTHENTICATED))
}

fn limit(entry: &Section<'_>) -> Option<NonZeroU32> {
    entry.required("limit")?;
    let limit = entry.whole("limit", 1..=u64::from(window::LIMIT_MAX))?;
    u32::try_from(limit).ok().and_then(NonZeroU32::new)
}

fn window(entry: &Section<'_>) -> Option<Duration> {
    entry.required("window")?;
    let expected = format!("{}, from 1s to 1d", unit::DURATION);
    let range = WINDOW_MIN..=window::LENGTH_MAX;
    entry.parsed("window", &expected, |text| unit::duration(text).filter(|window| range.contains(window)))
}

fn is_empty_list(node: Option<&Node>) -> bool {
    matches!(node, Some(Node { kind: Kind::List(items), .. }) if items.is_empty())
}

/// Returns the networks whose `X-Forwarded-For` is trusted: one, or a list.
pub(super) fn trusted_proxies(root: &Section<'_>) -> Vec<IpNet> {
    let single = match root.get("trusted_proxies") {
        Some(node) if matches!(node.kind, Kind::Scalar(_)) => Some((node, root.name("trusted_proxies"))),
        _ => None,
    };
    let nodes: Vec<(&Node, String)> = match single {
        Some(single) => vec![single],
        None => root.list("trusted_proxies").collect(),
    };
    let mut networks = Vec::new();
    for (nth, (node, name)) in nodes.into_iter().enumerate() {
        let Some(text) = root.reader().text(node, &name) else { continue };
        match proxies(&text.value).filter(|_| nth < PROXIES_MAX) {
            Some(more) => networks.extend(more),
            None => root.bad(text.at, "trusted_proxies", PROXY),
        }
    }
    networks
}

fn proxies(text: &str) -> Option<Vec<IpNet>> {
    if text == "cloudflare" {
        return Some(cloudflare());
    }
    // If every peer were trusted, each client could claim any address.
    bounds::network(text).ok().filter(|network| network.prefix_len() > 0).map(|network| vec![network])
}

fn cloudflare() -> Vec<IpNet> {
    CLOUDFLARE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.parse().ok()).collect()
}

/// Returns the URL of the Redis that shares rate limits; `None` if it is missing or empty.
pub(super) fn redis(root: &Section<'_>) -> Option<Secret> {
    let url = root.text("redis").filter(|url| !url.value.is_empty())?;
    if !is_redis(&url.value) {
        root.bad(url.at, "redis", REDIS);
    }
    Some(Secret::new(url.value))
}

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
    fn cloudflares_networks_are_all_read() {
        let networks = cloudflare();
        assert_eq!(networks.len(), CLOUDFLARE.lines().filter(|line| !line.starts_with('#')).count());
        assert_eq!(networks.len(), 22);
        assert!(networks.iter().all(|network| *network == network.trunc() && network.prefix_len() >= 12));
    }

    #[test]
    fn an_origin_is_written_as_browsers_do() {
        for (text, expected) in [
            ("https://app.example.com", Some("https://app.example.com")),
            ("https://App.Example.com/", Some("https://app.example.com")),
            ("https://app.example.com:443", Some("https://app.example.com")),
            ("http://localhost:3000", Some("http://localhost:3000")),
            ("http://[::1]:3000", Some("http://[::1]:3000")),
            ("https://app.example.com/path", None),
            ("https://*.example.com", None),
            ("*", None),
            ("null", None),
            ("app.example.com", None),
            ("h2c://app.example.com", None),
            ("https://user:password@app.example.com", None),
        ] {
            assert_eq!(origin(text).as_deref(), expected, "{text}");
        }
    }

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
