//! Whether a page of ours made a browser send this request: browsers attach cookies to everybody's requests.
//!
//! Browsers say so themselves: `Sec-Fetch-Site` (Fetch Metadata; no page can set it), and `Origin`, which older ones send with
//! every POST. Cookies are `SameSite=Strict` besides, which knows sites and not origins: another port of this host is the same site.

use access::Refusal;
use http::{HeaderMap, HeaderName, Method, header};

use crate::cookies::Cookies;
use crate::problem::Problem;
use crate::state::App;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who had the request sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// A page of ours, one that is allowed, or a person at the address bar.
    Ours,
    /// Another page, or one that cannot be told.
    Foreign,
    /// Nothing is said: no browser of these years.
    Unsaid,
}

/// Which pages are ours.
#[derive(Debug, Clone, Copy)]
struct Pages<'a> {
    /// `public_url.control`.
    public: Option<&'a str>,
    /// `control.cors.allowed_origins`.
    allowed: &'a [String],
    over_tls: bool,
}

/// Refuses what changes something, is authenticated by a cookie, and does not come from a page of ours.
///
/// # Errors
/// `forbidden`.
pub(crate) fn check(app: &App, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if is_safe(method) { Ok(()) } else { refuse_unless(app, headers, &[Sender::Ours]) }
}

/// Refuses a sign-in that another page asks for, which would have the browser go on as somebody else. Scripts, which say nothing
/// and hold no cookies, pass.
///
/// # Errors
/// `forbidden`.
pub(crate) fn check_sign_in(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let is_browser = headers.contains_key(header::COOKIE);
    let pass: &[Sender] = if is_browser { &[Sender::Ours] } else { &[Sender::Ours, Sender::Unsaid] };
    refuse_unless(app, headers, pass)
}

fn refuse_unless(app: &App, headers: &HeaderMap, pass: &[Sender]) -> Result<(), Problem> {
    let snapshot = app.live.load();
    let pages = Pages {
        public: snapshot.public_url.control.as_deref(),
        allowed: &snapshot.control.allowed_origins,
        over_tls: Cookies::of(app).over_tls(),
    };
    if pass.contains(&sender(headers, pages)) {
        return Ok(());
    }
    Err(Problem::new(
        Refusal::Forbidden,
        "this was sent from a page of another origin, or does not say from where: a browser needs an origin of \
         `control.cors.allowed_origins`; a script sends its credential in `Authorization`",
    ))
}

/// RFC 9110, 9.2.1.
fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

fn sender(headers: &HeaderMap, pages: Pages<'_>) -> Sender {
    let origin = only(headers, &header::ORIGIN);
    let allowed = || matches!(origin, Said::Once(origin) if pages.allow(origin));
    let own = || matches!(origin, Said::Once(origin) if pages.are_at(origin, headers));
    let ours = match only(headers, &SEC_FETCH_SITE) {
        Said::Once("same-origin" | "none") => true,
        // An origin of ours contradicts it.
        Said::Once("cross-site") => allowed(),
        Said::Once("same-site") => allowed() || own(),
        Said::Once(_) | Said::Unclear => false,
        Said::Nothing if matches!(origin, Said::Nothing) => return Sender::Unsaid,
        Said::Nothing => allowed() || own(),
    };
    if ours { Sender::Ours } else { Sender::Foreign }
}

/// What a header that stands once says.
#[derive(Debug, Clone, Copy)]
enum Said<'a> {
    Nothing,
    Once(&'a str),
    Unclear,
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Said<'a> {
    let mut values = headers.get_all(name).into_iter();
    match (values.next(), values.next()) {
        (None, _) => Said::Nothing,
        (Some(value), None) => value.to_str().map_or(Said::Unclear, |text| Said::Once(text.trim())),
        (Some(_), Some(_)) => Said::Unclear,
    }
}

impl Pages<'_> {
    fn allow(self, origin: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }

    /// Whether `origin` is where this request went: the URL that people are given, or the host that the browser asked for.
    fn are_at(self, origin: &str, headers: &HeaderMap) -> bool {
        let Some(origin) = Origin::of(origin) else { return false };
        let public = self.public.and_then(Origin::of);
        if public.is_some_and(|public| public.is(origin)) {
            return true;
        }
        let Said::Once(host) = only(headers, &header::HOST) else { return false };
        // Without TLS of its own this server cannot know whether a proxy in front has it. Where cookies need TLS, a page without
        // it is not ours: anybody on the way could have written it.
        let schemes: &[&str] = if self.over_tls { &["https"] } else { &["http", "https"] };
        schemes.iter().any(|scheme| Origin { scheme, authority: host }.is(origin))
    }
}

/// RFC 6454, 6.2: scheme, host and port.
#[derive(Debug, Clone, Copy)]
struct Origin<'a> {
    scheme: &'a str,
    authority: &'a str,
}

impl<'a> Origin<'a> {
    /// That of a URL.
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let fits = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        (fits && !authority.is_empty() && !authority.contains('@')).then_some(Self { scheme, authority })
    }

    fn is(self, other: Origin<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme) && self.host().eq_ignore_ascii_case(other.host())
    }

    /// Without the scheme's own port.
    fn host(self) -> &'a str {
        let own = if self.scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
        self.authority.strip_suffix(own).unwrap_or(self.authority)
    }
}

#[cfg(test)]
mod tests;
