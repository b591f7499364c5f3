//! Targets that are made from parts of a received one: rewrites of requests, and redirects.

use super::conditions::decoded;
use super::normal_form::normalized;
use super::origin::{Origin, Scheme};
use super::pattern::Pattern;
use super::template::Template;

/// The changes of the target of requests: `routes[].transformations.request.rewrite`.
#[derive(Debug, Clone, Default)]
pub struct Rewrite {
    /// The change of the path.
    pub path: Option<PathRewrite>,
    /// The change of the query.
    pub query: QueryRewrite,
}

/// The host that a backend receives: `routes[].transformations.request.rewrite.host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamHost {
    /// The client's over `http`, and the backend's own over `https`, whose certificate has it.
    ByScheme,
    /// The host that the client requested.
    Preserve,
    /// The backend's own host, that of its URL.
    Backend,
    /// This host, with its port.
    Name(Box<str>),
}

impl UpstreamHost {
    /// Returns the host that `backend` receives with a request to the host `received`, which is empty if it is unknown.
    #[must_use]
    pub fn host_for<'a>(&'a self, received: &'a [u8], backend: &'a Origin) -> &'a [u8] {
        let own = backend.authority.as_bytes();
        match self {
            Self::Name(name) => name.as_bytes(),
            Self::ByScheme if backend.scheme == Scheme::Https => own,
            Self::ByScheme | Self::Preserve if !received.is_empty() => received,
            Self::ByScheme | Self::Preserve | Self::Backend => own,
        }
    }
}

/// A change of the path of a request.
#[derive(Debug, Clone)]
pub enum PathRewrite {
    /// The path is another one.
    Whole(Composition),
    /// The prefix of the route is replaced.
    Prefix {
        /// The length of the prefix that the route matches.
        from_len: usize,
        /// The new prefix, without a final slash.
        to: Box<str>,
    },
    /// The first match of an expression is replaced. Other paths are not changed.
    Regex {
        /// The expression that is searched in the path.
        pattern: Pattern,
        /// The replacement; its captures are groups of the expression.
        to: Vec<TextPart>,
    },
}

/// A text with the values of a template's parameters.
#[derive(Debug, Clone)]
pub struct Composition {
    /// The template of the route; `None` if the text has no parameters.
    pub from: Option<Template>,
    /// The parts of the text; their captures are parameters of the template, counted from 0.
    pub parts: Vec<TextPart>,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextPart {
    /// This text, byte for byte.
    Literal(Box<str>),
    /// The parameter or group with this number.
    Capture(usize),
}

/// A change of the query of a request.
#[derive(Debug, Clone, Default)]
pub struct QueryRewrite {
    /// The names of the parameters that are removed; not encoded.
    pub remove: Vec<Box<str>>,
    /// The encoded parameters that are added at the end; empty for none.
    pub add: Box<str>,
    /// The same with masks in place of values that may be secrets.
    pub shown_add: Box<str>,
}

/// The parts of a received target.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedTarget<'a> {
    /// The path in the form of [`unreserved`](super::unreserved), whose other escapes are those that were sent.
    pub path: &'a str,
    /// The query without its question mark, as it was sent.
    pub query: Option<&'a str>,
}

impl Rewrite {
    /// Returns the new path and query; `None` if no client could send them. Only an expression can join parts of a segment,
    /// for example to a dot segment.
    #[must_use]
    pub fn target(&self, received: ReceivedTarget<'_>) -> Option<String> {
        self.target_with(received, &self.query.add)
    }

    /// Returns what [`Self::target`] returns, with masks in place of added values that may be secrets.
    #[must_use]
    pub(crate) fn shown_target(&self, received: ReceivedTarget<'_>) -> Option<String> {
        self.target_with(received, &self.query.shown_add)
    }

    fn target_with(&self, received: ReceivedTarget<'_>, add: &str) -> Option<String> {
        let mut target = self.path.as_ref().map_or_else(|| received.path.to_owned(), |path| path.apply(received.path));
        self.query.append(&mut target, received.query, add);
        let may_be_invalid = matches!(self.path, Some(PathRewrite::Regex { .. }));
        (!may_be_invalid || http1::is_origin_form(&target)).then_some(target)
    }
}

impl PathRewrite {
    /// Returns the new path.
    pub(super) fn apply(&self, path: &str) -> String {
        match self {
            Self::Whole(composition) => composition.compose(path),
            Self::Prefix { from_len, to } => {
                let rest = path.get(*from_len..).unwrap_or_default();
                if to.is_empty() && rest.is_empty() { "/".to_owned() } else { format!("{to}{rest}") }
            }
            Self::Regex { pattern, to } => {
                // The expression reads the path as that of the route does; the groups keep their escapes.
                let compared = normalized(path);
                let Some(groups) = pattern.captures(compared.as_bytes()) else { return path.to_owned() };
                let whole = groups.get(0).map_or(0..0, |group| group.range());
                let mut written = path.get(..whole.start).unwrap_or_default().to_owned();
                for part in to {
                    written.push_str(match part {
                        TextPart::Literal(text) => text,
                        // A group that took no part in the match is empty. Paths are ASCII.
                        TextPart::Capture(number) => {
                            groups.get(*number).and_then(|group| path.get(group.range())).unwrap_or_default()
                        }
                    });
                }
                written.push_str(path.get(whole.end..).unwrap_or_default());
                written
            }
        }
    }
}

impl Composition {
    /// Returns the text for a path that the template matches.
    #[must_use]
    pub fn compose(&self, path: &str) -> String {
        let values = self.from.as_ref().and_then(|template| template.captures(path)).unwrap_or_default();
        let mut text = String::new();
        for part in &self.parts {
            text.push_str(match part {
                TextPart::Literal(literal) => literal,
                TextPart::Capture(number) => values.get(*number).copied().unwrap_or_default(),
            });
        }
        text
    }
}

impl QueryRewrite {
    fn append(&self, target: &mut String, received: Option<&str>, add: &str) {
        let mut separator = '?';
        let mut push = |part: &str| {
            target.push(separator);
            target.push_str(part);
            separator = '&';
        };
        match received {
            None => {}
            Some(query) if self.remove.is_empty() => push(query),
            Some(query) => {
                let is_kept = |part: &&str| {
                    let name = decoded(part.split_once('=').map_or(*part, |(name, _)| name));
                    !part.is_empty() && !self.remove.iter().any(|removed| *name == *removed.as_bytes())
                };
                query.split('&').filter(is_kept).for_each(&mut push);
            }
        }
        if !add.is_empty() {
            push(add);
        }
    }
}

/// Returns a name or value as a query has it: all octets but unreserved ones are encoded (RFC 3986, 2.3).
pub(crate) fn encoded(text: &str) -> String {
    let mut written = String::new();
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~') {
            written.push(char::from(octet));
        } else {
            written.push_str(&format!("%{octet:02X}"));
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> TextPart {
        TextPart::Literal(text.into())
    }

    fn check(path: Option<PathRewrite>, query: &QueryRewrite, received: &str, expected: &str) {
        let (sent, sent_query) = received.split_once('?').map_or((received, None), |(path, query)| (path, Some(query)));
        let rewrite = Rewrite { path, query: query.clone() };
        assert_eq!(
            rewrite.target(ReceivedTarget { path: sent, query: sent_query }).as_deref(),
            Some(expected),
            "{received}"
        );
    }

    #[test]
    fn a_path_is_made_from_parameters() {
        let from = Some(Template::parse("/users/{id}/{*rest}").unwrap());
        let parts = vec![literal("/v2/"), TextPart::Capture(1), literal("/of/"), TextPart::Capture(0)];
        let whole = PathRewrite::Whole(Composition { from, parts });
        check(Some(whole.clone()), &QueryRewrite::default(), "/users/7/a/b?x=%2F", "/v2/a/b/of/7?x=%2F");
        check(Some(whole), &QueryRewrite::default(), "/users/%2e%2Fx/a", "/v2/a/of/%2e%2Fx");
    }

    #[test]
    fn a_prefix_is_replaced() {
        let prefix = |from: &str, to: &str| Some(PathRewrite::Prefix { from_len: from.len(), to: to.into() });
        for (from, to, received, expected) in [
            ("/api", "/v2", "/api/x?y", "/v2/x?y"),
            ("/api", "/v2", "/api", "/v2"),
            ("/api", "", "/api", "/"),
            ("/api", "", "/api/", "/"),
            ("/api", "", "/api/x", "/x"),
            ("", "/v2", "/x", "/v2/x"),
        ] {
            check(prefix(from, to), &QueryRewrite::default(), received, expected);
        }
    }

    #[test]
    fn the_first_match_of_an_expression_is_replaced() {
        let pattern = Pattern::parse("/v([0-9]+)(x)?/").unwrap();
        let to = vec![literal("/api/"), TextPart::Capture(1), TextPart::Capture(2), literal("/")];
        let regex = PathRewrite::Regex { pattern, to };
        check(Some(regex.clone()), &QueryRewrite::default(), "/a/v1/b/v2/c?d", "/a/api/1/b/v2/c?d");
        check(Some(regex), &QueryRewrite::default(), "/a/b?d", "/a/b?d");
    }

    #[test]
    fn parameters_are_removed_and_added() {
        let query = QueryRewrite {
            remove: vec!["debug".into(), "a b".into()],
            add: "source=gateway".into(),
            ..QueryRewrite::default()
        };
        for (received, expected) in [
            ("/x", "/x?source=gateway"),
            ("/x?", "/x?source=gateway"),
            ("/x?debug=1&y=%2F&%64ebug", "/x?y=%2F&source=gateway"),
            ("/x?a+b=1&a%20b=2&ab", "/x?ab&source=gateway"),
            ("/x?debugger=1", "/x?debugger=1&source=gateway"),
        ] {
            check(None, &query, received, expected);
        }
        let only_removes = QueryRewrite { remove: vec!["a".into()], ..QueryRewrite::default() };
        check(None, &only_removes, "/x?a=1", "/x");
        check(None, &QueryRewrite::default(), "/x?", "/x?");
        assert_eq!(encoded("a b&=é"), "a%20b%26%3D%C3%A9");
    }

    #[test]
    fn the_client_decides_the_host_over_http_and_the_backend_over_https() {
        let name = UpstreamHost::Name("name.example:81".into());
        for (rule, over_http, over_https) in [
            (&UpstreamHost::ByScheme, "client", "b.example"),
            (&UpstreamHost::Preserve, "client", "client"),
            (&UpstreamHost::Backend, "b.example:8080", "b.example"),
            (&name, "name.example:81", "name.example:81"),
        ] {
            for (url, expected) in [("http://b.example:8080", over_http), ("https://b.example", over_https)] {
                let backend = Origin::parse(url).unwrap();
                assert_eq!(rule.host_for(b"client", &backend), expected.as_bytes(), "{rule:?} {url}");
                if *rule != name {
                    assert_eq!(rule.host_for(b"", &backend), backend.authority.as_bytes(), "{rule:?} {url}");
                }
            }
        }
    }
}
