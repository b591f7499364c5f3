//! The keys of each section: those of this version, and those of later versions (`not_yet`).

/// The keys of one section.
#[derive(Debug)]
pub(crate) struct Grammar {
    pub(crate) now: &'static [&'static str],
    pub(crate) later: &'static [&'static str],
}

impl Grammar {
    const fn new(now: &'static [&'static str], later: &'static [&'static str]) -> Self {
        Self { now, later }
    }

    /// Whether the key exists in this version or a later one.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.now.contains(&key) || self.later.contains(&key)
    }
}

pub(crate) const ROOT: Grammar = Grammar::new(
    &[
        "brand",
        "listen",
        "connections",
        "drain",
        "log",
        "control",
        "public_url",
        "signup",
        "signup_plan",
        "metrics",
        "data",
        "store",
        "spool",
        "retention",
        "lease",
        "timeouts",
        "sizes",
        "providers",
        "models",
        "prices",
        "prices_file",
        "prices_key",
        "ai",
        "plans",
        "upstreams",
        "routes",
        "trusted_proxies",
        "redis",
        "rate_limits",
        "budgets",
        "quota_status",
        "on_hangup",
        "mock",
    ],
    &["workers", "in_flight", "production", "auth", "circuit_breaker", "tests"],
);
pub(crate) const BRAND: Grammar = Grammar::new(&["name", "key_prefix"], &[]);
pub(crate) const LISTENER: Grammar = Grammar::new(&["address"], &["tls"]);
pub(crate) const CONNECTIONS: Grammar = Grammar::new(&["max", "per_address", "in_flight_per_key"], &[]);
pub(crate) const DRAIN: Grammar = Grammar::new(&["delay", "timeout"], &[]);
pub(crate) const LOG: Grammar = Grammar::new(&["format", "level", "modules"], &[]);
pub(crate) const CONTROL: Grammar = Grammar::new(&["listen", "cors", "rate_limits"], &[]);
pub(crate) const CORS: Grammar = Grammar::new(&["allowed_origins"], &[]);
pub(crate) const CONTROL_LIMIT: Grammar = Grammar::new(&["dimension", "limit", "window", "with", "without"], &[]);
pub(crate) const LIMIT: Grammar =
    Grammar::new(&["dimension", "limit", "window", "without"], &["with", "algorithm", "consistency"]);
pub(crate) const PUBLIC_URL: Grammar = Grammar::new(&["proxy", "control"], &[]);
pub(crate) const METRICS: Grammar = Grammar::new(&["token"], &[]);
pub(crate) const STORE: Grammar = Grammar::new(&["url", "migrate", "stale_for"], &[]);
pub(crate) const SPOOL: Grammar = Grammar::new(&["max_size", "durability"], &[]);
pub(crate) const LEASE: Grammar = Grammar::new(&["ttl", "recall_wait"], &[]);
pub(crate) const RETENTION: Grammar = Grammar::new(&["events", "raw_usage"], &[]);
pub(crate) const TIMEOUTS: Grammar = Grammar::new(&["connect", "first_byte", "idle", "total"], &[]);
pub(crate) const ON_HANGUP: Grammar = Grammar::new(&["drain"], &[]);
pub(crate) const HANGUP_DRAIN: Grammar = Grammar::new(&["bytes", "for"], &[]);
pub(crate) const SIZES: Grammar = Grammar::new(&["headers", "body", "buffered"], &[]);
pub(crate) const PROVIDER: Grammar = Grammar::new(&["name", "kind", "base_url", "credential"], &[]);
pub(crate) const MODEL: Grammar = Grammar::new(&["name", "credits", "targets"], &["strategy"]);
pub(crate) const TARGET: Grammar = Grammar::new(&["provider", "model"], &["weight"]);
pub(crate) const PRICE: Grammar = Grammar::new(
    &[
        "model",
        "from",
        "until",
        "input",
        "cached_input",
        "cache_write",
        "cache_write_long",
        "output",
        "audio_input",
        "image_input",
        "audio_output",
        "image_output",
        "per_image",
        "per_second",
        "per_character",
        "per_search",
        "per_search_prompt",
        "per_maps_query",
        "per_maps_prompt",
        "per_container",
        "per_file_search",
        "per_request",
        "long",
        "tiers",
        "us_uplift",
        "input_tokens_max",
        "output_tokens_max",
    ],
    &[],
);
pub(crate) const PRICE_LONG: Grammar = Grammar::new(
    &[
        "above_tokens",
        "input",
        "cached_input",
        "cache_write",
        "cache_write_long",
        "output",
        "audio_input",
        "image_input",
        "audio_output",
        "image_output",
    ],
    &[],
);
pub(crate) const PRICE_TIER: Grammar = Grammar::new(
    &[
        "tier",
        "input",
        "cached_input",
        "cache_write",
        "cache_write_long",
        "output",
        "audio_input",
        "image_input",
        "audio_output",
        "image_output",
        "long",
    ],
    &[],
);
/// A price file, which is not a part of the configuration.
pub(crate) const PRICE_FILE: Grammar = Grammar::new(&["as_of", "source", "prices"], &[]);
/// A row of a price file: a price, and its source.
pub(crate) const PRICE_ROW: Grammar = Grammar::new(
    &[
        "model",
        "source",
        "from",
        "until",
        "input",
        "cached_input",
        "cache_write",
        "cache_write_long",
        "output",
        "audio_input",
        "image_input",
        "audio_output",
        "image_output",
        "per_image",
        "per_second",
        "per_character",
        "per_search",
        "per_search_prompt",
        "per_maps_query",
        "per_maps_prompt",
        "per_container",
        "per_file_search",
        "per_request",
        "long",
        "tiers",
        "us_uplift",
        "region",
        "input_tokens_max",
        "output_tokens_max",
    ],
    &[],
);
pub(crate) const AI: Grammar = Grammar::new(&["enabled", "prefix", "timeouts"], &[]);
pub(crate) const PLAN: Grammar =
    Grammar::new(&["name", "credits_per_day", "requests_per_minute", "budgets", "shared_keys"], &["price"]);
pub(crate) const PLAN_BUDGET: Grammar = Grammar::new(&["money", "credits", "tokens", "per"], &[]);
pub(crate) const BUDGETS: Grammar = Grammar::new(&["limits", "unbounded", "clamp", "server_tool_rounds"], &[]);
pub(crate) const BUDGET: Grammar = Grammar::new(&["dimension", "money", "credits", "tokens", "per"], &[]);
pub(crate) const UPSTREAM: Grammar =
    Grammar::new(&["name", "backends"], &["strategy", "health_check", "circuit_breaker", "retry", "pool", "discover"]);
pub(crate) const BACKEND: Grammar = Grammar::new(&["url", "weight"], &[]);
pub(crate) const ROUTE: Grammar = Grammar::new(
    &["name", "path", "methods", "upstreams", "auth", "credits", "events", "allow_headers"],
    &[
        "host",
        "headers",
        "query",
        "strategy",
        "labels",
        "rate_limit",
        "rate_limits",
        "timeouts",
        "fallback",
        "transformations",
        "cors",
        "cache",
        "addresses",
    ],
);
pub(crate) const PATH: Grammar = Grammar::new(&["prefix"], &["regex"]);
pub(crate) const AUTH: Grammar = Grammar::new(&["type"], &["use", "require"]);

/// Every section, under its name in the reference; `[]` follows the key of a list of sections.
pub(crate) const ALL: &[(&str, &Grammar)] = &[
    ("", &ROOT),
    ("brand", &BRAND),
    ("listen[]", &LISTENER),
    ("connections", &CONNECTIONS),
    ("drain", &DRAIN),
    ("log", &LOG),
    ("control", &CONTROL),
    ("control.cors", &CORS),
    ("control.rate_limits[]", &CONTROL_LIMIT),
    ("rate_limits[]", &LIMIT),
    ("public_url", &PUBLIC_URL),
    ("metrics", &METRICS),
    ("store", &STORE),
    ("spool", &SPOOL),
    ("retention", &RETENTION),
    ("lease", &LEASE),
    ("timeouts", &TIMEOUTS),
    ("sizes", &SIZES),
    ("on_hangup", &ON_HANGUP),
    ("on_hangup.drain", &HANGUP_DRAIN),
    ("providers[]", &PROVIDER),
    ("models[]", &MODEL),
    ("models[].targets[]", &TARGET),
    ("prices[]", &PRICE),
    ("prices[].long", &PRICE_LONG),
    ("prices[].tiers[]", &PRICE_TIER),
    ("prices[].tiers[].long", &PRICE_LONG),
    ("ai", &AI),
    ("ai.timeouts", &TIMEOUTS),
    ("plans[]", &PLAN),
    ("plans[].budgets[]", &PLAN_BUDGET),
    ("budgets", &BUDGETS),
    ("budgets.limits[]", &BUDGET),
    ("upstreams[]", &UPSTREAM),
    ("upstreams[].backends[]", &BACKEND),
    ("routes[]", &ROUTE),
    ("routes[].path", &PATH),
    ("routes[].auth", &AUTH),
];

/// Keys that hold a list of single values.
const LISTS: [&str; 4] =
    ["routes[].methods", "routes[].allow_headers", "control.cors.allowed_origins", "trusted_proxies"];
/// Keys that hold a mapping with arbitrary keys.
const MAPS: [&str; 1] = ["log.modules"];
/// Keys that hold a list or a mapping, or a single value instead.
const SINGLE_TOO: [&str; 5] = ["listen", "on_hangup", "routes[].path", "routes[].upstreams", "trusted_proxies"];

/// The structure of a key's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// A text, a number or a boolean.
    Single,
    /// A mapping with these keys.
    Section(&'static Grammar),
    /// A list of such mappings.
    Sections(&'static Grammar),
    /// A list of single values.
    List,
    /// A mapping with arbitrary keys.
    Map,
    /// A value that only a later version defines.
    Later,
}

/// Returns the structure of the value at `path`, written as in [`ALL`]: `""`, `timeouts`, `models[].targets`.
pub(crate) fn shape(path: &str) -> Shape {
    let section = |wanted: &str| ALL.iter().find(|(name, _)| *name == wanted).map(|(_, grammar)| *grammar);
    if let Some(grammar) = section(path) {
        return Shape::Section(grammar);
    }
    if let Some(grammar) = section(&format!("{path}[]")) {
        return Shape::Sections(grammar);
    }
    if LISTS.contains(&path) {
        Shape::List
    } else if MAPS.contains(&path) {
        Shape::Map
    } else {
        Shape::Single
    }
}

/// Whether `path` accepts a single value, besides the structure that [`shape`] returns.
pub(crate) fn takes_single(path: &str) -> bool {
    matches!(shape(path), Shape::Single) || SINGLE_TOO.contains(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the keys that have a row in the reference. A row contains the path of a key below the heading of its
    /// table, or several paths.
    fn described(reference: &str) -> Vec<String> {
        let mut keys = Vec::new();
        for part in reference.split("\n## ").skip(1) {
            let (heading, body) = part.split_once('\n').unwrap_or((part, ""));
            let section = heading.strip_prefix('`').and_then(|heading| heading.strip_suffix('`'));
            let section = if heading == "The whole file" { Some("") } else { section };
            let Some(section) = section else { continue };
            for row in body.lines().filter_map(|line| line.strip_prefix("| `")) {
                let (names, _) = row.split_once("` |").unwrap();
                let names = names.split("`, `");
                keys.extend(names.map(|name| format!("{section}.{name}").trim_start_matches('.').to_owned()));
            }
        }
        keys
    }

    /// A key that is always a mapping needs no row: its own keys have rows.
    #[test]
    fn reference_describes_every_key_of_this_version() {
        let described = described(include_str!("../../../docs/configuration.md"));
        let mut known = Vec::new();
        for (section, grammar) in ALL {
            let path = |key: &str| format!("{section}.{key}").trim_start_matches('.').to_owned();
            for key in grammar.now {
                let path = path(key);
                let is_mapping = matches!(shape(&path), Shape::Section(_)) && !takes_single(&path);
                assert!(is_mapping || described.contains(&path), "{path} has no row");
                known.push(path);
            }
            for key in grammar.later {
                assert!(!described.contains(&path(key)), "{} comes later", path(key));
            }
        }
        for (nth, path) in described.iter().enumerate() {
            assert!(known.contains(path), "{path} is not a key");
            assert!(!described[..nth].contains(path), "{path} has two rows");
        }
    }

    /// Every path of these lists that is not a section belongs to a key.
    #[test]
    fn shapes_are_of_keys_that_there_are() {
        for path in LISTS.iter().chain(&MAPS).chain(&SINGLE_TOO) {
            let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
            let (_, grammar) = ALL.iter().find(|(name, _)| *name == section).unwrap();
            assert!(grammar.now.contains(&key), "{path}");
        }
    }
}
