//! Protection against cross-site request forgery: browsers attach cookies to requests that any page makes.
//!
//! Browsers report the sender themselves: in `Sec-Fetch-Site` (Fetch Metadata; no page can set it), and in `Origin`,
//! which older browsers send with every POST. Cookies are also `SameSite=Strict`, but a site is not an origin: another
//! port of this host is the same site.

use access::Refusal;
use http::{HeaderMap, HeaderName, Method, header};

use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::cookies::Cookies;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The page or program that made the browser or script send the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// A page of this server, an allowed page, or a user at the address bar.
    Trusted,
    /// Another page, or a page that cannot be identified.
    Foreign,
    /// Both header fields are missing: the client is a script or an outdated browser.
    Unknown,
}

/// The pages that may make changes with cookies.
#[derive(Debug, Clone, Copy)]
struct Pages<'a> {
    /// The value of `public_url.control`.
    public: Option<&'a str>,
    /// The values of `control.cors.allowed_origins`.
    allowed: &'a [String],
    over_tls: bool,
}

/// Refuses requests that change something, authenticate by a cookie and were sent by a foreign page.
///
/// # Errors
/// `forbidden`.
pub(crate) fn check(app: &App, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if is_safe(method) { Ok(()) } else { refuse_unless(app, headers, &[Sender::Trusted]) }
}

/// Refuses a sign-in that another page makes, which would sign the browser in as another user. Scripts, which send
/// neither header field and no cookies, pass.
///
/// # Errors
/// `forbidden`.
pub(crate) fn check_sign_in(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let is_browser = headers.contains_key(header::COOKIE);
    let pass: &[Sender] = if is_browser { &[Sender::Trusted] } else { &[Sender::Trusted, Sender::Unknown] };
    refuse_unless(app, headers, pass)
}

/// Refuses a WebSocket that a foreign page opens: browsers send cookies with it, and any page may read its messages.
///
/// # Errors
/// `forbidden`.
pub(crate) fn check_socket(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    check_sign_in(app, headers)
}

fn refuse_unless(app: &App, headers: &HeaderMap, pass: &[Sender]) -> Result<(), Problem> {
    let snapshot = app.live.load();
    let pages = Pages {
        public: snapshot.process.public_url.control.as_deref(),
        allowed: &snapshot.process.control.allowed_origins,
        over_tls: Cookies::from_app(app).over_tls(),
    };
    if pass.contains(&sender(headers, pages)) {
        return Ok(());
    }
    Err(Problem::new(
        Refusal::Forbidden,
        "this request was sent by a page of another origin, or does not name its origin: a browser needs an origin of \
         `control.cors.allowed_origins`; a script sends its credential in `Authorization`",
    ))
}

/// Whether a method is safe (RFC 9110, 9.2.1).
fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

fn sender(headers: &HeaderMap, pages: Pages<'_>) -> Sender {
    let origin = only(headers, &header::ORIGIN);
    let allowed = || matches!(origin, SingleHeader::Once(origin) if pages.allow(origin));
    let own = || matches!(origin, SingleHeader::Once(origin) if pages.are_at(origin, headers));
    let is_trusted = match only(headers, &SEC_FETCH_SITE) {
        SingleHeader::Once("same-origin" | "none") => true,
        // `cross-site` contradicts an origin of this server, so only allowed origins pass.
        SingleHeader::Once("cross-site") => allowed(),
        SingleHeader::Once("same-site") => allowed() || own(),
        SingleHeader::Once(_) | SingleHeader::Unclear => false,
        SingleHeader::Nothing if matches!(origin, SingleHeader::Nothing) => return Sender::Unknown,
        SingleHeader::Nothing => allowed() || own(),
    };
    if is_trusted { Sender::Trusted } else { Sender::Foreign }
}

/// The value of a header field that may be present at most once.
#[derive(Debug, Clone, Copy)]
enum SingleHeader<'a> {
    Nothing,
    Once(&'a str),
    Unclear,
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> SingleHeader<'a> {
    let mut values = headers.get_all(name).into_iter();
    match (values.next(), values.next()) {
        (None, _) => SingleHeader::Nothing,
        (Some(value), None) => value.to_str().map_or(SingleHeader::Unclear, |text| SingleHeader::Once(text.trim())),
        (Some(_), Some(_)) => SingleHeader::Unclear,
    }
}

impl Pages<'_> {
    fn allow(self, origin: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }

    /// Whether `origin` is the origin of the request's target: the public URL, or the host that the browser requested.
    fn are_at(self, origin: &str, headers: &HeaderMap) -> bool {
        let Some(origin) = Origin::from_url(origin) else { return false };
        let public = self.public.and_then(Origin::from_url);
        if public.is_some_and(|public| public.is(origin)) {
            return true;
        }
        let SingleHeader::Once(host) = only(headers, &header::HOST) else { return false };
        // A server without TLS cannot know whether a proxy in front uses TLS. If cookies need TLS, a
        // page without TLS is foreign, because anyone on the network path could have written it.
        let schemes: &[&str] = if self.over_tls { &["https"] } else { &["http", "https"] };
        schemes.iter().any(|scheme| Origin { scheme, authority: host }.is(origin))
    }
}

/// A web origin: scheme, host and port (RFC 6454, 6.2).
#[derive(Debug, Clone, Copy)]
struct Origin<'a> {
    scheme: &'a str,
    authority: &'a str,
}

impl<'a> Origin<'a> {
    /// The origin of a URL.
    fn from_url(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let fits = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        (fits && !authority.is_empty() && !authority.contains('@')).then_some(Self { scheme, authority })
    }

    fn is(self, other: Origin<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme) && self.host().eq_ignore_ascii_case(other.host())
    }

    /// The host, without the default port of the scheme.
    fn host(self) -> &'a str {
        let own = if self.scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
        self.authority.strip_suffix(own).unwrap_or(self.authority)
    }
}

#[cfg(test)]
mod tests;
