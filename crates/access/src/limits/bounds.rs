//! Restrictions of one key, in addition to the limits of its user.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::amounts::amount::Credits;
use crate::limits::plan::Plan;
use crate::text;

/// Maximum number of routes, models or networks in one list.
pub const BOUND_ENTRIES_MAX: usize = 64;
/// Maximum length of a route or model name in these lists, in characters.
pub const BOUND_CHARS_MAX: usize = 200;
/// Bits before the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// Restrictions of one key, in addition to its user's plan. A field that is `None` restricts nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KeyBounds {
    /// A quota of this key, in whole credits per UTC day; the user's quota applies as well.
    pub credits_per_day: Option<Credits>,
    /// Maximum requests per minute; the plan's limit applies as well.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Names of the ordinary routes that the key may use.
    pub routes: Option<Vec<String>>,
    /// Models that the key may request, by the names that clients use. A final `*` matches the rest of a name.
    pub models: Option<Vec<String>>,
    /// Networks from which the key may be used.
    pub addresses: Option<Vec<IpNet>>,
    /// What the key may call of the admin API. `None` is the default: [`ControlScope::Own`] if the key has another
    /// restriction, otherwise everything of its user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlScope>,
}

/// What a restricted key may call of the admin API. No restricted key changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlScope {
    /// The key calls nothing of it.
    None,
    /// The key itself: its usage, its limits and its models.
    #[serde(rename = "self")]
    Own,
    /// Everything that its user may read.
    Read,
}

impl ControlScope {
    /// All scopes, in order.
    pub const ALL: [Self; 3] = [Self::None, Self::Own, Self::Read];

    /// The spelling in the store, the API and the commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Own => "self",
            Self::Read => "read",
        }
    }

    /// Parses the text that [`as_str`](Self::as_str) returns.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// An invalid restriction. Each error names the field as the API and the commands spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnfitBound {
    /// The quota exceeds the maximum of a plan.
    #[error("credits_per_day must be at most {}", Plan::CREDITS_MAX)]
    Credits,
    /// The rate exceeds the maximum of a plan.
    #[error("requests_per_minute must be at most {}", Plan::REQUESTS_MAX)]
    Requests,
    /// A list has too many entries.
    #[error("{field}: at most {BOUND_ENTRIES_MAX} entries are allowed")]
    TooMany {
        /// The name of the list.
        field: &'static str,
    },
    /// An entry is empty, too long, or contains a control character or an invisible character.
    #[error(
        "{field}: each entry must have 1 to {BOUND_CHARS_MAX} characters, without control characters and invisible characters"
    )]
    Entry {
        /// The name of the list.
        field: &'static str,
    },
    /// A `*` is not the last character of the name.
    #[error("models: `*` is allowed only at the end of a name")]
    Star,
    /// The text is neither an address nor a network.
    #[error("addresses: each entry must be an address (203.0.113.7) or a network (203.0.113.0/24)")]
    Address,
}

impl KeyBounds {
    /// Returns the value without restrictions, which most keys share.
    #[must_use]
    pub fn none() -> Arc<Self> {
        static NONE: LazyLock<Arc<KeyBounds>> = LazyLock::new(Arc::default);
        NONE.clone()
    }

    /// Whether the key has no restrictions.
    #[must_use]
    pub const fn is_unbounded(&self) -> bool {
        let Self { credits_per_day, requests_per_minute, routes, models, addresses, control } = self;
        credits_per_day.is_none()
            && requests_per_minute.is_none()
            && routes.is_none()
            && models.is_none()
            && addresses.is_none()
            && control.is_none()
    }

    /// Returns what the key may call of the admin API; `None` means everything of its user.
    #[must_use]
    pub fn control_scope(&self) -> Option<ControlScope> {
        self.control.or_else(|| (!self.is_unbounded()).then_some(ControlScope::Own))
    }

    /// Checks the restrictions.
    ///
    /// # Errors
    /// [`UnfitBound`] names the invalid field.
    pub fn check(&self) -> Result<(), UnfitBound> {
        if self.credits_per_day.is_some_and(|credits| credits > Plan::CREDITS_MAX) {
            return Err(UnfitBound::Credits);
        }
        if self.requests_per_minute.is_some_and(|requests| requests > Plan::REQUESTS_MAX) {
            return Err(UnfitBound::Requests);
        }
        for (field, names) in [("routes", &self.routes), ("models", &self.models)] {
            let names = names.as_deref().unwrap_or_default();
            count(field, names.len())?;
            if !names.iter().all(|name| is_name(name)) {
                return Err(UnfitBound::Entry { field });
            }
        }
        let models = self.models.as_deref().unwrap_or_default();
        if models.iter().any(|model| model.strip_suffix('*').unwrap_or(model).contains('*')) {
            return Err(UnfitBound::Star);
        }
        count("addresses", self.addresses.as_deref().unwrap_or_default().len())
    }

    /// Whether the key may use the ordinary route with this name.
    #[must_use]
    pub fn opens_route(&self, name: &str) -> bool {
        self.routes.as_ref().is_none_or(|routes| routes.iter().any(|route| route == name))
    }

    /// Whether the key may request this model.
    #[must_use]
    pub fn opens_model(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|pattern| matches(pattern, model)))
    }

    /// Whether the key may be used from `address`. An IPv4-mapped IPv6 address is treated as the IPv4 address.
    #[must_use]
    pub fn opens_from(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.addresses.as_ref().is_none_or(|networks| networks.iter().any(|network| network.contains(&address)))
    }
}

/// Parses an address or a network. Bits after the prefix length are cleared; an IPv4-mapped IPv6 network becomes an
/// IPv4 network.
///
/// # Errors
/// [`UnfitBound::Address`] if the text is neither of them.
pub fn network(text: &str) -> Result<IpNet, UnfitBound> {
    let alone = |address: IpAddr| IpNet::from(address.to_canonical());
    let net = match text.parse::<IpNet>() {
        Ok(net) => net.trunc(),
        Err(_) => text.parse().map(alone).map_err(|_| UnfitBound::Address)?,
    };
    let IpNet::V6(wide) = net else { return Ok(net) };
    let mapped = wide.addr().to_ipv4_mapped().zip(wide.prefix_len().checked_sub(MAPPED_BITS));
    let narrow = mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    Ok(narrow.map_or(net, IpNet::V4))
}

fn count(field: &'static str, entries: usize) -> Result<(), UnfitBound> {
    if entries > BOUND_ENTRIES_MAX { Err(UnfitBound::TooMany { field }) } else { Ok(()) }
}

fn is_name(name: &str) -> bool {
    let chars = name.chars().take(BOUND_CHARS_MAX + 1).count();
    (1..=BOUND_CHARS_MAX).contains(&chars) && text::is_plain(name)
}

fn matches(pattern: &str, model: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => model.starts_with(start),
        None => model == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bound_opens_everything_and_an_empty_list_nothing() {
        let free = KeyBounds::default();
        assert!(free.is_unbounded() && free.opens_route("users") && free.opens_model("x"));
        assert!(free.opens_from("::1".parse().unwrap()));
        let none = KeyBounds { models: Some(Vec::new()), ..KeyBounds::default() };
        assert!(!none.is_unbounded() && !none.opens_model("x"));
    }

    #[test]
    fn a_restricted_key_sees_itself_unless_its_scope_says_otherwise() {
        let free = KeyBounds::default();
        let limited = KeyBounds { credits_per_day: Some(Credits::whole(1)), ..free.clone() };
        assert_eq!((free.control_scope(), limited.control_scope()), (None, Some(ControlScope::Own)));
        for scope in ControlScope::ALL {
            for bounds in [&free, &limited] {
                let scoped = KeyBounds { control: Some(scope), ..bounds.clone() };
                assert_eq!((scoped.control_scope(), scoped.is_unbounded()), (Some(scope), false));
            }
            assert_eq!(ControlScope::parse(scope.as_str()), Some(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
    }

    #[test]
    fn a_star_ends_a_models_name() {
        let bounds = KeyBounds { models: Some(vec!["openai/*".to_owned(), "fast".to_owned()]), ..KeyBounds::default() };
        for (model, opens) in [("openai/gpt-5", true), ("fast", true), ("faster", false), ("anthropic/x", false)] {
            assert_eq!(bounds.opens_model(model), opens, "{model}");
        }
    }

    #[test]
    fn a_bound_outside_its_range_is_named() {
        let long = |chars| Some(vec!["é".repeat(chars)]);
        let many = |entries| Some(vec!["a".to_owned(); entries]);
        let free = KeyBounds::default();
        for (bounds, expected) in [
            (KeyBounds { credits_per_day: Some(Plan::CREDITS_MAX), ..free.clone() }, Ok(())),
            (
                KeyBounds { credits_per_day: Some(Credits(Plan::CREDITS_MAX.0 + 1)), ..free.clone() },
                Err(UnfitBound::Credits),
            ),
            (KeyBounds { requests_per_minute: Some(Plan::REQUESTS_MAX), ..free.clone() }, Ok(())),
            (
                KeyBounds { requests_per_minute: Plan::REQUESTS_MAX.checked_add(1), ..free.clone() },
                Err(UnfitBound::Requests),
            ),
            (
                KeyBounds { models: Some(vec!["gpt\u{200b}-5".into()]), ..free.clone() },
                Err(UnfitBound::Entry { field: "models" }),
            ),
            (KeyBounds { routes: many(64), models: long(200), ..free.clone() }, Ok(())),
            (KeyBounds { routes: many(65), ..free.clone() }, Err(UnfitBound::TooMany { field: "routes" })),
            (KeyBounds { models: long(201), ..free.clone() }, Err(UnfitBound::Entry { field: "models" })),
            (KeyBounds { routes: long(0), ..free.clone() }, Err(UnfitBound::Entry { field: "routes" })),
            (
                KeyBounds { routes: Some(vec!["a\0".into()]), ..free.clone() },
                Err(UnfitBound::Entry { field: "routes" }),
            ),
            (KeyBounds { models: Some(vec!["*".into(), "a/*".into()]), ..free.clone() }, Ok(())),
            (KeyBounds { models: Some(vec!["a*b".into()]), ..free.clone() }, Err(UnfitBound::Star)),
            (KeyBounds { models: Some(vec!["a**".into()]), ..free.clone() }, Err(UnfitBound::Star)),
            (
                KeyBounds { addresses: Some(vec![network("::/0").unwrap(); 65]), ..free },
                Err(UnfitBound::TooMany { field: "addresses" }),
            ),
        ] {
            assert_eq!(bounds.check(), expected, "{bounds:?}");
        }
    }

    #[test]
    fn networks_are_read_in_their_shortest_form() {
        for (text, read) in [
            ("203.0.113.7", "203.0.113.7/32"),
            ("203.0.113.7/24", "203.0.113.0/24"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("2001:DB8::1/32", "2001:db8::/32"),
            ("::ffff:203.0.113.7", "203.0.113.7/32"),
            ("::ffff:203.0.113.7/120", "203.0.113.0/24"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(network(text).unwrap().to_string(), read);
        }
        for text in ["", "203.0.113", "203.0.113.0/33", " 203.0.113.7", "fe80::1%eth0", "localhost", "1.2.3.4-1.2.3.9"]
        {
            assert_eq!(network(text), Err(UnfitBound::Address), "{text}");
        }
    }

    #[test]
    fn an_address_is_judged_in_its_shortest_form() {
        let bounds = KeyBounds { addresses: Some(vec!["203.0.113.0/24".parse().unwrap()]), ..KeyBounds::default() };
        assert!(bounds.opens_from("::ffff:203.0.113.9".parse().unwrap()));
        assert!(!bounds.opens_from("203.0.114.1".parse().unwrap()));
    }
}
