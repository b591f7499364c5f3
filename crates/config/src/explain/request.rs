//! A request as a person writes it: `GET https://api.example.com/users?page=1`, and header fields.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue};
use http1::{HeadLimits, KnownName, Request, RequestParser};

use crate::snapshot::credentials::{self, KEY_HEADERS, bearer};
use crate::snapshot::{KeyPlaces, PresentedCredentials, Process, RequestParts, RouteRequest, Snapshot};

/// Maximum number of header fields.
pub const FIELDS_MAX: usize = 100;

/// A request that the gateway would not refuse before it selects a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenRequest {
    pub(super) method: String,
    /// The scheme of the URL: `http` or `https`.
    pub(super) scheme: &'static str,
    /// The host with its port; empty if the request names none.
    pub(super) host: String,
    pub(super) path: String,
    /// The query without its question mark.
    pub(super) query: Option<String>,
    fields: Vec<(String, String)>,
    /// Whether the client asks to change to a WebSocket.
    pub(super) requests_websocket: bool,
    /// Whether `Upgrade` is WebSocket, also if the client does not ask for a change.
    pub(super) names_websocket: bool,
    /// Whether the request is made with a valid key, also if no field contains one.
    pub(super) has_key: bool,
    /// The entry of `auth` with the client that makes the request, also if no field contains its credential.
    pub(super) entry: Option<String>,
    /// The model that the body of an LLM request names.
    pub(super) model: Option<String>,
    /// The plan of the client, if it is known.
    pub(super) plan: Option<String>,
    /// The address of the client, if it is known.
    pub(super) address: Option<IpAddr>,
}

/// The reason why a text is not a [`WrittenRequest`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The text is not a method and a URL.
    #[error("a method and a URL or a path, such as GET https://api.example.com/users")]
    Line,
    /// A name or a value cannot be that of a header field.
    #[error("valid header fields, other than `{0}`")]
    Field(String),
    /// There are more header fields than a request can have.
    #[error("at most {FIELDS_MAX} header fields")]
    Fields,
    /// The gateway refuses every such request.
    #[error("a request that the gateway accepts: {0}")]
    Refused(http1::Violation),
}

impl WrittenRequest {
    /// Parses `METHOD URL`, or a URL alone for `GET`. The URL may be a path; then the request has no host, unless `fields`
    /// have one.
    ///
    /// # Errors
    /// Returns a [`RequestError`] whose text describes a valid request.
    pub fn parse(line: &str, fields: &[(String, String)]) -> Result<Self, RequestError> {
        let (method, url) = line.trim().split_once([' ', '\t']).unwrap_or(("GET", line.trim()));
        Self::new(method, url.trim_start(), fields)
    }

    /// Returns a request with this method, URL and header fields.
    ///
    /// # Errors
    /// Returns a [`RequestError`] whose text describes a valid request.
    pub fn new(method: &str, url: &str, fields: &[(String, String)]) -> Result<Self, RequestError> {
        let (authority, target) = split(url).ok_or(RequestError::Line)?;
        if method.contains(char::is_whitespace) || url.contains(char::is_whitespace) {
            return Err(RequestError::Line);
        }
        if fields.len() > FIELDS_MAX {
            return Err(RequestError::Fields);
        }
        // A request without a host is valid in HTTP/1.0 only.
        let has_host = authority.is_some() || fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        let version = if has_host { "1.1" } else { "1.0" };
        let mut head = format!("{method} {target} HTTP/{version}\r\n");
        if let Some(authority) = authority {
            head.push_str(&format!("Host: {authority}\r\n"));
        }
        for (name, value) in fields {
            let is_valid = HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok();
            if !is_valid {
                return Err(RequestError::Field(name.clone()));
            }
            head.push_str(&format!("{name}: {}\r\n", value.trim()));
        }
        head.push_str("\r\n");
        let parsed = RequestParser::new(HeadLimits::new(usize::MAX, usize::MAX, FIELDS_MAX + 1)).parse(head.as_bytes());
        let parsed = parsed.map_err(RequestError::Refused)?.ok_or(RequestError::Line)?;
        let is_https = url.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"));
        let request = Self::from_request(parsed.over(head.as_bytes()), fields).ok_or(RequestError::Line)?;
        Ok(Self { scheme: if is_https { "https" } else { "http" }, ..request })
    }

    fn from_request(request: Request<'_>, fields: &[(String, String)]) -> Option<Self> {
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).ok();
        let is_websocket = |to: &[u8]| to.eq_ignore_ascii_case(b"websocket");
        Some(Self {
            method: text(request.method())?,
            scheme: "http",
            host: text(request.authority().unwrap_or_default())?,
            path: text(request.path()?)?,
            query: request.query().and_then(text),
            fields: fields.to_vec(),
            requests_websocket: request.upgrade().is_some_and(is_websocket),
            names_websocket: request.fields().get(KnownName::Upgrade).is_some_and(is_websocket),
            has_key: false,
            entry: None,
            model: None,
            plan: None,
            address: None,
        })
    }

    /// Returns the request without its keys in these places; it is then made with a key.
    pub(super) fn without_keys(&self, places: &KeyPlaces) -> Self {
        let mut request = self.clone();
        if let Some(without) = self.query.as_deref().and_then(|query| places.in_query(query)) {
            request.query = Some(without.rest).filter(|rest| !rest.is_empty());
            request.has_key = true;
        }
        for (name, value) in &mut request.fields {
            if name.eq_ignore_ascii_case("sec-websocket-protocol")
                && let Some(without) = places.in_protocols(value)
            {
                *value = without.rest;
                request.has_key = true;
            }
        }
        request
    }

    /// Returns the request with another path.
    pub(super) fn with_path(&self, path: String) -> Self {
        Self { path, ..self.clone() }
    }

    /// Returns the request with another method.
    pub(super) fn with_method(&self, method: &str) -> Self {
        Self { method: method.to_owned(), ..self.clone() }
    }

    /// Returns the request as one with a valid key.
    #[must_use]
    pub fn with_key(self) -> Self {
        Self { has_key: true, ..self }
    }

    /// Returns the request as one with a valid credential of the entry of `auth` with this name.
    #[must_use]
    pub fn with_credential_of(self, entry: &str) -> Self {
        Self { entry: Some(entry.to_owned()), ..self }
    }

    /// Returns the request as an LLM request whose body names this model.
    #[must_use]
    pub fn with_model(self, model: Option<String>) -> Self {
        Self { model, ..self }
    }

    /// Returns the request as one of a client with this plan.
    #[must_use]
    pub fn with_plan(self, plan: Option<&str>) -> Self {
        Self { plan: plan.map(str::to_owned), ..self }
    }

    /// Returns the request as one of a client at this address.
    #[must_use]
    pub fn with_address(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }

    /// Returns the values of a field, whose name is in lowercase.
    pub fn field<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Returns the request as it arrives at the gateway. If its address is unknown, it is one of a trusted proxy, if there
    /// are any: only such a request has all its headers.
    pub(super) fn arriving(&self, snapshot: &Snapshot) -> ArrivingRequest<'_> {
        let traffic = &snapshot.traffic;
        let is_of_trusted_proxy =
            self.address.map_or(!traffic.trusted_proxies.is_empty(), |address| traffic.is_trusted_proxy(address));
        ArrivingRequest { request: self, is_of_trusted_proxy }
    }
}

/// A request with the sender that conditions of routes see.
pub(super) struct ArrivingRequest<'a> {
    request: &'a WrittenRequest,
    is_of_trusted_proxy: bool,
}

impl ArrivingRequest<'_> {
    /// Returns the part that selects the route.
    pub(super) fn requested(&self, process: &Process) -> RouteRequest<'_> {
        let WrittenRequest { method, scheme, host, path, .. } = self.request;
        let listener = process.listener_of(scheme, host);
        RouteRequest { method, host: host.as_bytes(), path, listener, parts: self }
    }
}

impl RequestParts for ArrivingRequest<'_> {
    fn query(&self) -> Option<&str> {
        self.request.query.as_deref()
    }

    fn each_field(&self, name: &str, see: &mut dyn FnMut(&[u8])) {
        let plain = |name: &str| name.replace('_', "-").to_ascii_lowercase();
        let named = self.request.fields.iter().filter(|(own, _)| plain(own) == plain(name));
        named.for_each(|(_, value)| see(value.trim().as_bytes()));
    }

    fn is_of_trusted_proxy(&self) -> bool {
        self.is_of_trusted_proxy
    }

    fn scheme(&self) -> &'static str {
        self.request.scheme
    }

    fn certificate_subject(&self) -> Option<&[u8]> {
        None
    }
}

impl PresentedCredentials for WrittenRequest {
    fn has_authorization(&self) -> bool {
        self.field("authorization").next().is_some()
    }

    fn bearers(&self) -> impl Iterator<Item = &[u8]> {
        self.field("authorization").map(str::as_bytes).filter_map(bearer)
    }

    fn has_basic(&self) -> bool {
        self.field("authorization").any(|value| credentials::of_scheme(value.as_bytes(), b"basic").is_some())
    }

    fn keys(&self) -> impl Iterator<Item = &[u8]> {
        let of_headers = KEY_HEADERS.into_iter().flat_map(|name| self.field(name.as_str())).map(str::as_bytes);
        self.bearers().chain(of_headers).filter(|value| value.is_ascii())
    }

    fn has_key_of_user(&self) -> bool {
        self.has_key || self.keys().any(access::is_key)
    }

    fn entry(&self) -> Option<&str> {
        self.entry.as_deref()
    }
}

/// Splits a URL into its host with a port, if it has one, and the rest from its path.
fn split(url: &str) -> Option<(Option<&str>, String)> {
    if url.starts_with('/') {
        return Some((None, url.to_owned()));
    }
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))?;
    let rest = url.get(scheme.len()..)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end)?;
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    (!authority.is_empty()).then_some((Some(authority), target))
}
