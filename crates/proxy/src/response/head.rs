//! The head of a response to a client. Responses of the gateway and those of upstreams have the same head, and the same
//! rules apply to both, over HTTP/1.1 and HTTP/2.

use access::Timestamp;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, DATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http1::{
    AnnouncedContent, HeadEdits, InvalidPart, KnownName, write_added_fields, write_edited_fields, write_status_line,
};

use crate::account::request_id::RequestIdText;
use crate::refusal::limit_items::LimitItems;
use crate::refusal::vendor_fields::Vendor;
use crate::response::sharing::Sharing;
use crate::transform::control_cookies::ControlCookies;
use crate::transform::header_rules::RouteHeaders;
use crate::upstream::response_head::{RelayedHead, UpstreamHead};
use crate::worker::date::DateCache;

/// The head of a response to a client.
#[derive(Debug)]
pub(crate) struct ClientHead {
    status: StatusCode,
    source: HeadSource,
    id: RequestIdText,
    now: Timestamp,
}

/// What the head of a response consists of. Both are boxed, because they pass many functions.
#[derive(Debug)]
enum HeadSource {
    /// The head that the upstream sent, with its edits.
    Relayed(Box<RelayedHead>),
    /// The fields of a response of the gateway.
    Own(Box<HeadEdits>),
}

/// What the gateway adds to the head of every response. These fields replace the upstream's fields of the same names.
pub(crate) struct GatewayFields<'a> {
    /// The request id. OpenAI's clients read `X-Request-Id`, Anthropic's read `Request-Id`.
    pub(crate) id: RequestIdText,
    /// The limits, quotas and budgets of the client.
    pub(crate) limits: LimitItems,
    /// The vendor whose fields of quotas the client reads too.
    pub(crate) vendor: Option<Vendor>,
    /// The pages with which the response is shared; `None` if that is the upstream's decision.
    pub(crate) sharing: Option<Sharing<'a>>,
    /// The cookies that upstreams may not set.
    pub(crate) control_cookies: ControlCookies<'a>,
    /// The changes of the route, if it has some.
    pub(crate) headers: Option<RouteHeaders<'a>>,
    /// The current time, for the `Date` field.
    pub(crate) now: Timestamp,
}

impl HeadSource {
    /// Applies the rules in their order: cookies, CORS, limits, request id, changes of the route.
    fn apply(&mut self, gateway: &GatewayFields<'_>) -> Result<(), InvalidPart> {
        let (received, edits) = match self {
            Self::Relayed(relayed) => (Some(&relayed.head), &mut relayed.edits),
            Self::Own(edits) => (None, &mut **edits),
        };
        if let Some(received) = received.filter(|head| head.fields().get(KnownName::SetCookie).is_some()) {
            edits.remove_fields(received.fields(), |field| gateway.control_cookies.is_set_by(&field));
        }
        if let Some(sharing) = &gateway.sharing {
            sharing.apply(edits, received)?;
        }
        gateway.limits.write(gateway.now, edits)?;
        if let Some(vendor) = gateway.vendor {
            vendor.write(&gateway.limits, gateway.now, edits)?;
        }
        for name in [KnownName::XRequestId, KnownName::RequestId] {
            edits.remove(name);
        }
        match &gateway.headers {
            Some(headers) => headers.apply(edits),
            None => Ok(()),
        }
    }

    /// The head that the upstream sent.
    fn received(&self) -> Option<&UpstreamHead> {
        match self {
            Self::Relayed(relayed) => Some(&relayed.head),
            Self::Own(_) => None,
        }
    }

    fn edits(&self) -> &HeadEdits {
        match self {
            Self::Relayed(relayed) => &relayed.edits,
            Self::Own(edits) => edits,
        }
    }
}

impl ClientHead {
    /// Returns the head of an upstream's response, whose status becomes `status`.
    pub(crate) fn relayed(relayed: Box<RelayedHead>, status: StatusCode, gateway: &GatewayFields<'_>) -> Self {
        Self::from_source(HeadSource::Relayed(relayed), status, gateway)
    }

    /// Returns the head of a response of the gateway, and its content.
    pub(crate) fn own(response: Response<Bytes>, gateway: &GatewayFields<'_>) -> (Self, Bytes) {
        let (parts, content) = response.into_parts();
        let mut edits = Box::new(HeadEdits::for_forwarding());
        for (name, value) in parts.headers.iter().filter(|(name, _)| !matches!(**name, CONTENT_LENGTH | DATE)) {
            report(edits.append_named(name.as_str().as_bytes(), value.as_bytes()));
        }
        (Self::from_source(HeadSource::Own(edits), parts.status, gateway), content)
    }

    /// Applies the rules of every response. The fields of the request id and the date are written last, without edits.
    fn from_source(mut source: HeadSource, status: StatusCode, gateway: &GatewayFields<'_>) -> Self {
        report(source.apply(gateway));
        Self { status, source, id: gateway.id, now: gateway.now }
    }

    /// Returns the status code.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the values of a field that the client receives.
    pub(crate) fn values(&self, name: KnownName) -> impl Iterator<Item = &[u8]> {
        let edits = self.source.edits();
        let received = self.source.received().map(|received| edits.kept(received.fields()));
        let fields = received.into_iter().flatten().chain(edits.added());
        fields.filter(move |field| field.known == Some(name)).map(|field| field.value)
    }

    /// Returns the edits, for changes after the rules of every response.
    pub(crate) fn edits_mut(&mut self) -> &mut HeadEdits {
        match &mut self.source {
            HeadSource::Relayed(relayed) => &mut relayed.edits,
            HeadSource::Own(edits) => edits,
        }
    }

    /// Notes that the content is not that of the upstream: its length and trailers are not those of the head.
    pub(crate) fn changes_content(&mut self) {
        if let HeadSource::Relayed(relayed) = &mut self.source {
            relayed.is_changed = true;
            relayed.may_have_trailers = false;
        }
    }

    /// Returns what the head announces; `length` is that of the content, if it is known.
    pub(crate) fn announced(&self, length: Option<u64>) -> AnnouncedContent {
        match &self.source {
            // The length of the content is known if there is content.
            HeadSource::Relayed(relayed) if relayed.is_changed => AnnouncedContent::Nothing,
            HeadSource::Relayed(relayed) => relayed.head.announced(),
            // RFC 9110, 8.6.
            HeadSource::Own(_) if matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => {
                AnnouncedContent::Nothing
            }
            HeadSource::Own(_) => AnnouncedContent::Length(length.unwrap_or(0)),
        }
    }

    /// Keeps the list of trailers that an upstream announced. Returns false if no trailers may follow the head.
    pub(crate) fn keep_trailers(&mut self) -> bool {
        let HeadSource::Relayed(relayed) = &mut self.source else { return false };
        if relayed.may_have_trailers {
            relayed.edits.keep(KnownName::Trailer);
        }
        relayed.may_have_trailers
    }

    /// Whether the head of the upstream has `Date`.
    fn has_date(&self) -> bool {
        self.source.received().is_some_and(|received| received.fields().get(KnownName::Date).is_some())
    }

    /// Writes the head as HTTP/1.1 has it, without the fields of the connection and of framing.
    pub(crate) fn write(&self, out: &mut Vec<u8>, dates: &DateCache) {
        let same = self.source.received().filter(|received| received.status() == self.status.as_u16());
        write_status(out, self.status, same.map_or(b"", UpstreamHead::reason));
        match &self.source {
            HeadSource::Relayed(relayed) => write_edited_fields(out, relayed.head.fields(), &relayed.edits),
            HeadSource::Own(edits) => write_added_fields(out, edits),
        }
        out.extend_from_slice(&self.id.response_fields());
        if !self.has_date() {
            dates.write(out, self.now);
        }
    }

    /// Returns the head of the upstream, whose memory another response may use; `None` for a response of the gateway.
    pub(crate) fn into_relayed(self) -> Option<Box<RelayedHead>> {
        match self.source {
            HeadSource::Relayed(relayed) => Some(relayed),
            HeadSource::Own(_) => None,
        }
    }

    /// Returns the fields as HTTP/2 has them, without the length of the content.
    pub(crate) fn http2_fields(&self, dates: &DateCache) -> HeaderMap {
        let mut fields = HeaderMap::new();
        let edits = self.source.edits();
        if let Some(received) = self.source.received() {
            add_fields(&mut fields, edits.kept(received.fields()));
        }
        add_fields(&mut fields, edits.added());
        for name in [KnownName::XRequestId, KnownName::RequestId] {
            add_field(&mut fields, name.as_str().as_bytes(), self.id.as_bytes());
        }
        if !self.has_date()
            && let Some(date) = dates.value(self.now)
        {
            fields.insert(DATE, date);
        }
        fields
    }
}

/// Logs that a field cannot be written. The configuration has been checked, so it is a defect, and the response lacks it.
fn report(written: Result<(), InvalidPart>) {
    if let Err(part) = written {
        tracing::error!(%part, "a field of a response cannot be written");
    }
}

/// Writes the head of an interim response.
pub(crate) fn write_interim(out: &mut Vec<u8>, interim: &RelayedHead) {
    let status = StatusCode::from_u16(interim.head.status()).unwrap_or(StatusCode::PROCESSING);
    write_status(out, status, interim.head.reason());
    write_edited_fields(out, interim.head.fields(), &interim.edits);
}

/// Returns the fields of an interim response as HTTP/2 has them.
pub(crate) fn http2_interim_fields(interim: &RelayedHead) -> HeaderMap {
    let mut fields = HeaderMap::new();
    add_fields(&mut fields, interim.edits.kept(interim.head.fields()));
    add_fields(&mut fields, interim.edits.added());
    fields
}

/// Writes the status line, with the standard reason phrase if `reason` is empty.
fn write_status(out: &mut Vec<u8>, status: StatusCode, reason: &[u8]) {
    let usual = status.canonical_reason().unwrap_or_default().as_bytes();
    if write_status_line(out, status.as_u16(), if reason.is_empty() { usual } else { reason }).is_err() {
        // A parsed reason has no control octet, so this is a defect.
        out.extend_from_slice(b"HTTP/1.1 502 Bad Gateway\r\n");
    }
}

fn add_fields<'a>(to: &mut HeaderMap, fields: impl Iterator<Item = http1::Field<'a>>) {
    fields.for_each(|field| add_field(to, field.name, field.value));
}

/// Adds a field, unless it belongs to a connection of HTTP/1.1 (RFC 9113, 8.2.2).
fn add_field(to: &mut HeaderMap, name: &[u8], value: &[u8]) {
    use KnownName::{Connection, KeepAlive, ProxyConnection, TransferEncoding, Upgrade};
    if matches!(KnownName::find(name), Some(Connection | KeepAlive | ProxyConnection | TransferEncoding | Upgrade)) {
        return;
    }
    // The parser accepts no name and no value that a map cannot have.
    if let Ok(name) = HeaderName::from_bytes(name)
        && let Ok(value) = HeaderValue::from_bytes(value)
    {
        to.append(name, value);
    }
}

#[cfg(test)]
mod tests;
