//! Which keys there are, section by section: those of this version, and those that come later (`not_yet`).

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

    /// Whether there is such a key, now or later.
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
        "data",
        "store",
        "spool",
        "timeouts",
        "sizes",
        "providers",
        "models",
        "prices",
        "ai",
        "plans",
        "upstreams",
        "routes",
    ],
    &[
        "workers",
        "in_flight",
        "production",
        "public_url",
        "trusted_proxies",
        "metrics",
        "signup",
        "signup_plan",
        "retention",
        "lease",
        "redis",
        "on_hangup",
        "budgets",
        "auth",
        "rate_limits",
        "circuit_breaker",
        "tests",
    ],
);
pub(crate) const BRAND: Grammar = Grammar::new(&["name", "key_prefix"], &[]);
pub(crate) const LISTENER: Grammar = Grammar::new(&["address"], &["tls"]);
pub(crate) const CONNECTIONS: Grammar = Grammar::new(&["max", "per_address"], &[]);
pub(crate) const DRAIN: Grammar = Grammar::new(&["delay", "timeout"], &[]);
pub(crate) const LOG: Grammar = Grammar::new(&["format", "level", "modules"], &[]);
pub(crate) const CONTROL: Grammar = Grammar::new(&["listen"], &["cors", "rate_limits"]);
pub(crate) const STORE: Grammar = Grammar::new(&["url", "migrate", "stale_for"], &[]);
pub(crate) const SPOOL: Grammar = Grammar::new(&["max_size", "durability"], &[]);
pub(crate) const TIMEOUTS: Grammar = Grammar::new(&["connect", "first_byte", "idle", "total"], &[]);
pub(crate) const SIZES: Grammar = Grammar::new(&["headers", "body", "buffered"], &[]);
pub(crate) const PROVIDER: Grammar = Grammar::new(&["name", "kind", "base_url", "credential"], &[]);
pub(crate) const MODEL: Grammar = Grammar::new(&["name", "credits", "targets"], &["strategy"]);
pub(crate) const TARGET: Grammar = Grammar::new(&["provider", "model"], &["weight"]);
pub(crate) const PRICE: Grammar = Grammar::new(&["model", "input", "cached_input", "cache_write", "output"], &[]);
pub(crate) const AI: Grammar = Grammar::new(&["enabled", "prefix", "timeouts"], &[]);
pub(crate) const PLAN: Grammar =
    Grammar::new(&["name", "credits_per_day", "requests_per_minute"], &["price", "budgets"]);
pub(crate) const UPSTREAM: Grammar =
    Grammar::new(&["name", "backends"], &["strategy", "health_check", "circuit_breaker", "retry", "pool", "discover"]);
pub(crate) const BACKEND: Grammar = Grammar::new(&["url", "weight"], &[]);
pub(crate) const ROUTE: Grammar = Grammar::new(
    &["name", "path", "methods", "upstreams", "auth", "credits", "events"],
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

/// Sections of which there is one, by their paths.
pub(crate) const SINGLE: [(&str, &Grammar); 12] = [
    ("", &ROOT),
    ("brand", &BRAND),
    ("connections", &CONNECTIONS),
    ("drain", &DRAIN),
    ("log", &LOG),
    ("control", &CONTROL),
    ("store", &STORE),
    ("spool", &SPOOL),
    ("timeouts", &TIMEOUTS),
    ("sizes", &SIZES),
    ("ai", &AI),
    ("ai.timeouts", &TIMEOUTS),
];

/// Every section, under the name that the reference gives it.
#[cfg(test)]
pub(crate) const ALL: [(&str, &Grammar); 22] = [
    ("", &ROOT),
    ("brand", &BRAND),
    ("listen[]", &LISTENER),
    ("connections", &CONNECTIONS),
    ("drain", &DRAIN),
    ("log", &LOG),
    ("control", &CONTROL),
    ("store", &STORE),
    ("spool", &SPOOL),
    ("timeouts", &TIMEOUTS),
    ("sizes", &SIZES),
    ("providers[]", &PROVIDER),
    ("models[]", &MODEL),
    ("models[].targets[]", &TARGET),
    ("prices[]", &PRICE),
    ("ai", &AI),
    ("plans[]", &PLAN),
    ("upstreams[]", &UPSTREAM),
    ("upstreams[].backends[]", &BACKEND),
    ("routes[]", &ROUTE),
    ("routes[].path", &PATH),
    ("routes[].auth", &AUTH),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference has one heading a section and one row a key.
    #[test]
    fn reference_describes_every_key_of_this_version() {
        let reference = include_str!("../../../docs/configuration.md");
        for (section, grammar) in ALL {
            let heading =
                if section.is_empty() { "\n## The whole file\n".to_owned() } else { format!("\n## `{section}`\n") };
            let (_, body) = reference.split_once(&heading).unwrap_or_else(|| panic!("no heading for {section}"));
            let body = body.split("\n## ").next().unwrap();
            for key in grammar.now {
                assert!(body.contains(&format!("\n| `{key}` |")), "{section}: {key}");
            }
            for key in grammar.later {
                assert!(!body.contains(&format!("\n| `{key}` |")), "{section}: {key} comes later");
            }
        }
    }
}
