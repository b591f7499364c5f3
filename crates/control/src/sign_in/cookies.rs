//! The cookies of a browser: one carries the access token, one the refresh token of its session, and one marks it as known
//! to a user (`known_browser`).

use std::time::Duration;

use access::{Refusal, Secret};
use http::{HeaderMap, HeaderValue, header};

use crate::message::problem::Problem;
use crate::process::state::App;

/// The names and attributes of the cookies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cookies {
    kind: Kind,
    /// The name of the cookie with the access token.
    session: String,
    /// The name of the cookie with the refresh token.
    refresh: String,
    /// The name of the cookie that marks a known browser.
    known: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Cookies over TLS, bound to this host (RFC 6265bis, 4.1.3.2: no other host, scheme or path can set them).
    Host,
    /// Cookies for loopback without TLS, where browsers refuse `Host` cookies.
    Plain,
}

/// The tokens in a request's cookies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CookieTokens<'a> {
    /// The access token, if present.
    pub(crate) session: Option<&'a str>,
    /// The refresh token, if present.
    pub(crate) refresh: Option<&'a str>,
    /// The token of a known browser, if present.
    pub(crate) known: Option<&'a str>,
}

impl CookieTokens<'_> {
    /// Whether the request has no token of a session.
    pub(crate) const fn is_empty(&self) -> bool {
        self.session.is_none() && self.refresh.is_none()
    }
}

impl Cookies {
    /// The cookies of a listener. They are plain only if control is on loopback and neither it nor its public URL has
    /// TLS, so that only this machine could listen in.
    pub(crate) fn from_app(app: &App) -> Self {
        let snapshot = app.live.load();
        let public = snapshot.process.public_url.control.as_deref();
        let has_tls = snapshot.process.control.tls.is_some() || public.is_some_and(|url| url.starts_with("https://"));
        let kind = Kind::for_listener(app.loopback, has_tls);
        Self::named(kind, snapshot.process.brand.slug())
    }

    /// The cookies of a brand, such as `__Host-tollgate_session`.
    fn named(kind: Kind, brand: &str) -> Self {
        let guard = match kind {
            Kind::Host => "__Host-",
            Kind::Plain => "",
        };
        let name = |what| format!("{guard}{brand}_{what}");
        Self { kind, session: name("session"), refresh: name("refresh"), known: name("known") }
    }

    /// Whether browsers reach the server over TLS, as far as the configuration says.
    pub(crate) const fn over_tls(&self) -> bool {
        matches!(self.kind, Kind::Host)
    }

    /// Reads Tollgate's cookies of a request. An empty cookie counts as missing.
    ///
    /// # Errors
    /// `ambiguous_credentials` if a cookie is present twice with different values, because another host or page set
    /// one of them.
    pub(crate) fn read<'a>(&self, headers: &'a HeaderMap) -> Result<CookieTokens<'a>, Problem> {
        let mut tokens = CookieTokens::default();
        // Other cookies of this host may contain any bytes and are ignored.
        let pairs = headers.get_all(header::COOKIE).into_iter().flat_map(|line| line.as_bytes().split(|&b| b == b';'));
        for (name, value) in pairs.filter_map(pair) {
            let place = match name {
                _ if value.is_empty() => continue,
                _ if name == self.session => &mut tokens.session,
                _ if name == self.refresh => &mut tokens.refresh,
                _ if name == self.known => &mut tokens.known,
                _ => continue,
            };
            if place.replace(value).is_some_and(|before| before != value) {
                let message = format!("the cookie `{name}` was sent twice with different values; delete it");
                return Err(Problem::new(Refusal::AmbiguousCredentials, message));
            }
        }
        Ok(tokens)
    }

    /// Sets the cookie of a known browser in a response.
    pub(crate) fn set_known(&self, headers: &mut HeaderMap, token: &Secret, keep: Duration) {
        self.put(headers, &self.known, token.expose(), keep);
    }

    /// Sets both cookies of a session in a response.
    pub(crate) fn set(&self, headers: &mut HeaderMap, session: (&Secret, Duration), refresh: (&Secret, Duration)) {
        for (name, (value, keep)) in [(&self.session, session), (&self.refresh, refresh)] {
            self.put(headers, name, value.expose(), keep);
        }
    }

    /// Deletes both cookies of a session in a response. The browser stays known.
    pub(crate) fn clear(&self, headers: &mut HeaderMap) {
        for name in [&self.session, &self.refresh] {
            self.put(headers, name, "", Duration::ZERO);
        }
    }

    fn put(&self, headers: &mut HeaderMap, name: &str, value: &str, keep: Duration) {
        let secure = if self.over_tls() { "; Secure" } else { "" };
        let age = keep.as_secs();
        let line = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
        // Tokens are base64url, so they always fit into a header field.
        if let Ok(mut line) = HeaderValue::try_from(line) {
            line.set_sensitive(true);
            headers.append(header::SET_COOKIE, line);
        }
    }
}

impl Kind {
    const fn for_listener(loopback: bool, has_tls: bool) -> Self {
        if loopback && !has_tls { Self::Plain } else { Self::Host }
    }
}

fn pair(bytes: &[u8]) -> Option<(&str, &str)> {
    let (name, value) = std::str::from_utf8(bytes).ok()?.split_once('=')?;
    Some((name.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        lines.iter().map(|line| (header::COOKIE, HeaderValue::from_bytes(line).unwrap())).collect()
    }

    #[test]
    fn they_are_plain_on_loopback_without_tls_only() {
        assert_eq!(Kind::for_listener(true, false), Kind::Plain);
        for (loopback, behind_tls) in [(true, true), (false, false), (false, true)] {
            assert_eq!(Kind::for_listener(loopback, behind_tls), Kind::Host);
        }
    }

    #[test]
    fn tollgates_cookies_are_found_among_others() {
        fn check(kind: Kind, lines: &[&[u8]], session: Option<&str>, refresh: Option<&str>) {
            let headers = headers(lines);
            assert_eq!(
                Cookies::named(kind, "tollgate").read(&headers).unwrap(),
                CookieTokens { session, refresh, known: None },
                "{lines:?}"
            );
        }
        check(Kind::Plain, &[], None, None);
        check(Kind::Plain, &[b"a=b; tollgate_session=x.y.z; tollgate_refresh=tgr_1"], Some("x.y.z"), Some("tgr_1"));
        check(Kind::Plain, &[b"tollgate_refresh=tgr_1", b"tollgate_session=x"], Some("x"), Some("tgr_1"));
        check(Kind::Plain, &[b"theme=\xff\xfe; ;=; tollgate_session=x"], Some("x"), None);
        check(Kind::Plain, &[b"tollgate_session=x; tollgate_session=x"], Some("x"), None);
        check(Kind::Plain, &[b"tollgate_session="], None, None);
        check(Kind::Plain, &[b"Tollgate_Session=x; xtollgate_session=x; tollgate_session"], None, None);
        check(Kind::Plain, &[b"__Host-tollgate_session=x"], None, None);
        check(Kind::Host, &[b"tollgate_session=x; tollgate_refresh=y"], None, None);
        check(Kind::Plain, &[b"codexible_session=x; codexible_refresh=y"], None, None);
        check(Kind::Host, &[b"__Host-tollgate_session=x;__Host-tollgate_refresh=y"], Some("x"), Some("y"));
    }

    #[test]
    fn a_second_cookie_with_another_value_is_ambiguous() {
        for lines in
            [&[&b"tollgate_session=x; tollgate_session=y"[..]][..], &[b"tollgate_refresh=x", b"tollgate_refresh=y"]]
        {
            assert!(Cookies::named(Kind::Plain, "tollgate").read(&headers(lines)).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn scripts_of_a_page_and_other_sites_do_not_get_them() {
        fn check(kind: Kind, expected: [&str; 2]) {
            let session = Secret::new("a.b.c".to_owned());
            let refresh = Secret::new("tgr_d".to_owned());
            let mut headers = HeaderMap::new();
            Cookies::named(kind, "tollgate").set(
                &mut headers,
                (&session, Duration::from_secs(86_400)),
                (&refresh, Duration::from_secs(604_800)),
            );
            let lines: Vec<_> = headers.get_all(header::SET_COOKIE).iter().collect();
            assert_eq!(lines, expected);
            assert!(!format!("{headers:?}").contains("tgr_d"));
        }
        check(
            Kind::Host,
            [
                "__Host-tollgate_session=a.b.c; Path=/; Max-Age=86400; HttpOnly; SameSite=Strict; Secure",
                "__Host-tollgate_refresh=tgr_d; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict; Secure",
            ],
        );
        check(
            Kind::Plain,
            [
                "tollgate_session=a.b.c; Path=/; Max-Age=86400; HttpOnly; SameSite=Strict",
                "tollgate_refresh=tgr_d; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict",
            ],
        );
    }

    #[test]
    fn cookies_are_deleted_by_an_age_of_zero() {
        let mut headers = HeaderMap::new();
        Cookies::named(Kind::Host, "codexible").clear(&mut headers);
        let lines: Vec<_> = headers.get_all(header::SET_COOKIE).iter().map(|line| line.to_str().unwrap()).collect();
        let expected = ["session", "refresh"]
            .map(|name| format!("__Host-codexible_{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure"));
        assert_eq!(lines, expected);
    }
}
