//! The conditions of a route on fields and on query parameters.

use std::borrow::Cow;
use std::fmt;

use settings::section::setting::MASK;

use super::pattern::Pattern;
use super::trusted_headers::FieldSource;

/// The settings `routes[].headers` and `routes[].query`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Conditions on fields; names in lowercase.
    pub headers: Vec<Condition>,
    /// Conditions on query parameters; names are decoded and case-sensitive.
    pub query: Vec<Condition>,
}

/// A condition on all values of one name.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The name of the field or parameter.
    pub name: Box<str>,
    /// What its values must be.
    pub value: ValueMatch,
    /// Where the values are, if it is a field.
    pub source: FieldSource,
    /// Whether the text of `value` may be a secret, so that nobody may read it.
    pub is_hidden: bool,
}

/// A condition with the part of the request that it applies to. `Display` writes it as a requirement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ConditionOn<'a> {
    /// A condition on a header.
    Header(&'a Condition),
    /// A condition on a query parameter.
    Query(&'a Condition),
}

impl<'a> ConditionOn<'a> {
    /// Whether the request meets the condition.
    fn holds(self, parts: &dyn RequestParts) -> bool {
        match self {
            Self::Header(condition) => condition.holds(|see| condition.each_value(parts, see)),
            Self::Query(condition) => condition.holds(|see| condition.each_parameter(parts, see)),
        }
    }

    /// Whether some values of the request meet the condition and others do not. The values of a list are the client's choices.
    fn is_disputed(self, parts: &dyn RequestParts) -> bool {
        match self {
            Self::Header(condition) => {
                !is_list(&condition.name) && condition.is_disputed(|see| condition.each_value(parts, see))
            }
            Self::Query(condition) => condition.is_disputed(|see| condition.each_parameter(parts, see)),
        }
    }

    const fn part(self) -> DisputedPart<'a> {
        match self {
            Self::Header(condition) => DisputedPart::Header(&condition.name),
            Self::Query(condition) => DisputedPart::Parameter(&condition.name),
        }
    }
}

impl fmt::Display for ConditionOn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (of, Condition { name, value, is_hidden, .. }) = match *self {
            Self::Header(condition) => ("header", condition),
            Self::Query(condition) => ("query parameter", condition),
        };
        match value {
            ValueMatch::Exact(_) if *is_hidden => write!(f, "{of} {name} is `{MASK}`"),
            ValueMatch::Exact(text) => write!(f, "{of} {name} is `{text}`"),
            ValueMatch::Regex(_) if *is_hidden => write!(f, "{of} {name} matches `{MASK}`"),
            ValueMatch::Regex(pattern) => write!(f, "{of} {name} matches `{pattern}`"),
            ValueMatch::Present => write!(f, "{of} {name} is present"),
            ValueMatch::Absent => write!(f, "{of} {name} is missing"),
        }
    }
}

/// Whether a request meets the conditions of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit<'a> {
    /// The request meets all of them.
    Met,
    /// The request does not meet one of them.
    Unmet,
    /// Some values of this part meet its condition and others do not: an upstream may read any of them.
    Disputed(DisputedPart<'a>),
}

/// A part of a request with several values, of which some meet a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisputedPart<'a> {
    /// The header with this name, in lowercase.
    Header(&'a str),
    /// The query parameter with this name, decoded.
    Parameter(&'a str),
}

impl fmt::Display for DisputedPart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "the header {name}"),
            Self::Parameter(name) => write!(f, "the query parameter {name}"),
        }
    }
}

/// A condition on the values of a field or a parameter. If there are several values, each one must meet it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueMatch {
    /// This value, byte for byte.
    Exact(Box<str>),
    /// A part of the value matches the expression.
    Regex(Pattern),
    /// Any value is accepted.
    Present,
    /// No value: the field or parameter is missing.
    Absent,
}

/// The parts of a request that only some routes need.
pub trait RequestParts {
    /// The query without its question mark, as it was sent.
    fn query(&self) -> Option<&str>;

    /// Calls `see` with each value of the field, whose name is in lowercase. Underscores in received names are hyphens.
    fn each_field(&self, name: &str, see: &mut dyn FnMut(&[u8]));

    /// Whether a trusted proxy has sent the request.
    fn is_of_trusted_proxy(&self) -> bool;

    /// The scheme of the connection: `http` or `https`.
    fn scheme(&self) -> &'static str;

    /// The subject of the client's verified certificate.
    fn certificate_subject(&self) -> Option<&[u8]>;
}

/// The parts of a request that has no head, for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct WrittenParts<'a> {
    /// The query without its question mark.
    pub query: Option<&'a str>,
    /// Names and values of the fields.
    pub fields: &'a [(&'a str, &'a str)],
    /// Whether a trusted proxy has sent the request.
    pub is_of_trusted_proxy: bool,
    /// The subject of the client's certificate.
    pub certificate: Option<&'a str>,
}

impl RequestParts for WrittenParts<'_> {
    fn query(&self) -> Option<&str> {
        self.query
    }

    fn each_field(&self, name: &str, see: &mut dyn FnMut(&[u8])) {
        let named = self
            .fields
            .iter()
            .filter(|(field, _)| field.replace('_', "-").eq_ignore_ascii_case(&name.replace('_', "-")));
        named.for_each(|(_, value)| see(value.as_bytes()));
    }

    fn is_of_trusted_proxy(&self) -> bool {
        self.is_of_trusted_proxy
    }

    fn scheme(&self) -> &'static str {
        "http"
    }

    fn certificate_subject(&self) -> Option<&[u8]> {
        self.certificate.map(str::as_bytes)
    }
}

/// The rank of a route among those of the same host and path: the greater one is first. Parts are compared in this order:
/// listeners, methods, the number of conditions on fields and how exact they are, and the same of conditions on the query.
pub(super) type Specificity = [usize; 8];

impl Conditions {
    /// Returns whether the request meets all conditions.
    pub(super) fn fit(&self, parts: &dyn RequestParts) -> Fit<'_> {
        if self.first_unmet(parts).is_none() {
            return Fit::Met;
        }
        let unmet = |condition: &ConditionOn<'_>| !condition.holds(parts);
        match self.all().find(|condition| unmet(condition) && !condition.is_disputed(parts)) {
            Some(_) => Fit::Unmet,
            None => self.all().find(unmet).map_or(Fit::Unmet, |condition| Fit::Disputed(condition.part())),
        }
    }

    /// Returns the first condition that the request does not meet.
    pub(crate) fn first_unmet(&self, parts: &dyn RequestParts) -> Option<ConditionOn<'_>> {
        self.all().find(|condition| !condition.holds(parts))
    }

    /// Returns the conditions on headers, then those on the query.
    pub(crate) fn all(&self) -> impl Iterator<Item = ConditionOn<'_>> {
        self.headers.iter().map(ConditionOn::Header).chain(self.query.iter().map(ConditionOn::Query))
    }

    /// Returns the part of the rank that the conditions decide.
    pub(super) fn specificity(&self) -> [usize; 6] {
        let exact = |condition: &&Condition| matches!(condition.value, ValueMatch::Exact(_));
        let regex = |condition: &&Condition| matches!(condition.value, ValueMatch::Regex(_));
        let Self { headers, query } = self;
        let counts = |of: &[Condition]| [of.len(), of.iter().filter(exact).count(), of.iter().filter(regex).count()];
        let [a, b, c] = counts(headers);
        let [d, e, f] = counts(query);
        [a, b, c, d, e, f]
    }
}

/// Conditions that the same requests meet are equal.
impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value == other.value && self.source == other.source
    }
}

impl Eq for Condition {}

impl Condition {
    /// Calls `see` with each value of the field.
    fn each_value(&self, parts: &dyn RequestParts, see: &mut dyn FnMut(&[u8])) {
        match self.source {
            FieldSource::Client => parts.each_field(&self.name, see),
            _ if parts.is_of_trusted_proxy() => parts.each_field(&self.name, see),
            FieldSource::TrustedProxy => {}
            FieldSource::Scheme => see(parts.scheme().as_bytes()),
            FieldSource::Certificate => parts.certificate_subject().into_iter().for_each(see),
        }
    }

    /// Calls `see` with each value of the query parameter.
    fn each_parameter(&self, parts: &dyn RequestParts, see: &mut dyn FnMut(&[u8])) {
        let named = parameters(parts.query().unwrap_or_default()).filter(|(name, _)| **name == *self.name.as_bytes());
        named.for_each(|(_, value)| see(&value));
    }

    /// Whether the values that `each` passes meet the condition.
    fn holds(&self, each: impl FnOnce(&mut dyn FnMut(&[u8]))) -> bool {
        let mut is_present = false;
        let mut all_match = true;
        each(&mut |value| {
            is_present = true;
            all_match &= self.is_match(value);
        });
        all_match && (is_present || self.value == ValueMatch::Absent)
    }

    /// Whether some of the values that `each` passes meet the condition and others do not.
    fn is_disputed(&self, each: impl FnOnce(&mut dyn FnMut(&[u8]))) -> bool {
        let mut any_match = false;
        let mut all_match = true;
        each(&mut |value| {
            let is_match = self.is_match(value);
            any_match |= is_match;
            all_match &= is_match;
        });
        any_match && !all_match
    }

    fn is_match(&self, value: &[u8]) -> bool {
        match &self.value {
            ValueMatch::Exact(text) => *value == *text.as_bytes(),
            ValueMatch::Regex(pattern) => pattern.is_match(value),
            ValueMatch::Present => true,
            ValueMatch::Absent => false,
        }
    }
}

/// Whether requests may repeat a field of this name, which is in lowercase: its value is a list (RFC 9110, 5.3), or HTTP/2
/// divides it (RFC 9113, 8.2.3).
#[must_use]
pub fn is_list(name: &str) -> bool {
    const LISTS: [&str; 16] = [
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "cookie",
        "expect",
        "if-match",
        "if-none-match",
        "pragma",
        "prefer",
        "te",
        "trailer",
        "upgrade",
        "via",
    ];
    LISTS.contains(&name)
}

/// Returns the parameters of a query, decoded as a form encodes them (`%20` and `+` are spaces).
pub fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query.split('&').filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (decoded(name), decoded(value))
    })
}

/// Returns the octets that a name or value of a query encodes. An invalid escape is kept.
#[must_use]
pub fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.bytes().any(|octet| matches!(octet, b'%' | b'+')) {
        return Cow::Borrowed(text.as_bytes());
    }
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        let escape = match rest {
            [] => return Cow::Owned(octets),
            [b'%', high, low, after @ ..] => digit(*high).zip(digit(*low)).map(|(high, low)| (high << 4 | low, after)),
            _ => None,
        };
        let (octet, after) = match (escape, rest) {
            (Some(escape), _) => escape,
            (None, [b'+', after @ ..]) => (b' ', after),
            (None, [octet, after @ ..]) => (*octet, after),
            (None, []) => return Cow::Owned(octets),
        };
        octets.push(octet);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(name: &str, value: &str) -> Condition {
        condition(name, ValueMatch::Exact(value.into()))
    }

    fn condition(name: &str, value: ValueMatch) -> Condition {
        Condition { name: name.into(), value, source: FieldSource::Client, is_hidden: false }
    }

    #[test]
    fn each_value_of_a_field_must_match() {
        let regex = ValueMatch::Regex(Pattern::parse("^a+$").unwrap());
        for (condition, fields, holds) in [
            (exact("x-a", "1"), &[("X-A", "1")][..], true),
            (exact("x-a", "1"), &[("X-A", "1"), ("x-a", "1")], true),
            (exact("x-a", "1"), &[("X-A", "1"), ("x-a", "2")], false),
            (exact("x-a", "1"), &[("X-A", "11")], false),
            (exact("x-a", ""), &[("X-A", "")], true),
            (exact("x-a", ""), &[], false),
            (condition("x-a", ValueMatch::Present), &[("x-a", "")], true),
            (condition("x-a", ValueMatch::Present), &[("x-b", "")], false),
            (condition("x-a", ValueMatch::Absent), &[("x-b", "")], true),
            (condition("x-a", ValueMatch::Absent), &[("x-a", "")], false),
            (condition("x-a", regex.clone()), &[("x-a", "aaa")], true),
            (condition("x-a", regex.clone()), &[("x-a", "aab")], false),
            (condition("x-a", regex), &[], false),
        ] {
            let conditions = Conditions { headers: vec![condition], query: Vec::new() };
            let is_met = conditions.fit(&WrittenParts { fields, ..WrittenParts::default() }) == Fit::Met;
            assert_eq!(is_met, holds, "{conditions:?} {fields:?}");
        }
    }

    #[test]
    fn values_that_disagree_about_a_condition_leave_its_route_open() {
        let tenant = exact("x-a", "1");
        let twice = [("X-A", "1"), ("x_a", "2")];
        let accept = condition("accept", ValueMatch::Regex(Pattern::parse("json").unwrap()));
        for (headers, fields, expected) in [
            (vec![tenant.clone()], &twice[..], Fit::Disputed(DisputedPart::Header("x-a"))),
            (vec![tenant.clone()], &[("x-a", "2"), ("x-a", "1")], Fit::Disputed(DisputedPart::Header("x-a"))),
            (vec![tenant.clone()], &[("x-a", "2"), ("x-a", "3")], Fit::Unmet),
            (vec![tenant.clone()], &[("x-a", "1"), ("x-a", "1")], Fit::Met),
            (vec![tenant.clone(), exact("x-b", "1")], &twice, Fit::Unmet),
            (vec![exact("x-b", "1"), tenant], &twice, Fit::Unmet),
            // Values of a list are the client's choices.
            (vec![accept], &[("accept", "text/html"), ("accept", "application/json")], Fit::Unmet),
        ] {
            let conditions = Conditions { headers, query: Vec::new() };
            assert_eq!(
                conditions.fit(&WrittenParts { fields, ..WrittenParts::default() }),
                expected,
                "{conditions:?} {fields:?}"
            );
        }
        let query = vec![exact("q", "1")];
        let conditions = Conditions { headers: vec![exact("x-a", "1")], query };
        let fit =
            |query| conditions.fit(&WrittenParts { query: Some(query), fields: &twice, ..WrittenParts::default() });
        assert_eq!((fit("q=2"), fit("q=1")), (Fit::Unmet, Fit::Disputed(DisputedPart::Header("x-a"))));
    }

    #[test]
    fn parameters_that_disagree_about_a_condition_leave_its_route_open() {
        let digits = ValueMatch::Regex(Pattern::parse("^[0-9]+$").unwrap());
        let disputed = Fit::Disputed(DisputedPart::Parameter("a"));
        for (condition, query, expected) in [
            (exact("a", "1"), "a=x&a=1", disputed),
            (exact("a", "1"), "a=1&b=2&a=x", disputed),
            (exact("a", "1"), "a=1&a", disputed),
            (exact("a", "1"), "%61=1&a=%78", disputed),
            (exact("a", "1"), "a=1&a=1", Fit::Met),
            (exact("a", "1"), "a=%31&a=1", Fit::Met),
            (exact("a", "1"), "a=x&a=y", Fit::Unmet),
            (exact("a", "1"), "A=x&a=1", Fit::Met),
            (exact("a", ""), "a&a=x", disputed),
            (condition("a", digits.clone()), "a=7&a=x", disputed),
            (condition("a", digits), "a=7&a=8", Fit::Met),
            (condition("a", ValueMatch::Present), "a=7&a=8", Fit::Met),
            (condition("a", ValueMatch::Absent), "a=7&a=8", Fit::Unmet),
        ] {
            let conditions = Conditions { headers: Vec::new(), query: vec![condition] };
            let parts = WrittenParts { query: Some(query), ..WrittenParts::default() };
            assert_eq!(conditions.fit(&parts), expected, "{conditions:?} {query}");
        }
        let conditions = Conditions { headers: vec![exact("x-a", "1")], query: vec![exact("a", "1")] };
        let fit = |fields| conditions.fit(&WrittenParts { query: Some("a=x&a=1"), fields, ..WrittenParts::default() });
        assert_eq!((fit(&[("x-a", "1")]), fit(&[("x-a", "2")])), (disputed, Fit::Unmet));
    }

    #[test]
    fn a_condition_reads_the_values_of_its_source() {
        let fields = [("x-a", "client")];
        let parts = |is_of_trusted_proxy| WrittenParts {
            fields: &fields,
            is_of_trusted_proxy,
            certificate: Some("CN=a"),
            ..WrittenParts::default()
        };
        for (source, of_client) in [
            (FieldSource::Client, Some("client")),
            (FieldSource::TrustedProxy, None),
            (FieldSource::Scheme, Some("http")),
            (FieldSource::Certificate, Some("CN=a")),
        ] {
            for (is_of_trusted_proxy, expected) in [(false, of_client), (true, Some("client"))] {
                let value = expected.map_or(ValueMatch::Absent, |value| ValueMatch::Exact(value.into()));
                let headers = vec![Condition { source, ..condition("x-a", value) }];
                let fit = Conditions { headers, query: Vec::new() }.first_unmet(&parts(is_of_trusted_proxy)).is_none();
                assert!(fit, "{source:?} {is_of_trusted_proxy}");
            }
        }
    }

    #[test]
    fn parameters_are_compared_decoded() {
        let regex = ValueMatch::Regex(Pattern::parse("^[0-9]+$").unwrap());
        for (condition, query, holds) in [
            (exact("a", "1"), Some("a=1"), true),
            (exact("a", "1"), Some("b=2&%61=%31"), true),
            (exact("a", "1"), Some("a=1&a=2"), false),
            (exact("a", "x y"), Some("a=x+y"), true),
            (exact("a", "x+y"), Some("a=x%2By"), true),
            (exact("a", ""), Some("a"), true),
            (exact("a", "%"), Some("a=%"), true),
            (exact("A", "1"), Some("a=1"), false),
            (exact("a", "1"), None, false),
            (condition("a", ValueMatch::Present), Some("&a&"), true),
            (condition("a", ValueMatch::Present), Some("b=a"), false),
            (condition("a", ValueMatch::Absent), None, true),
            (condition("a", regex), Some("a=12"), true),
        ] {
            let conditions = Conditions { headers: Vec::new(), query: vec![condition] };
            let is_met = conditions.fit(&WrittenParts { query, ..WrittenParts::default() }) == Fit::Met;
            assert_eq!(is_met, holds, "{conditions:?} {query:?}");
        }
    }
}
