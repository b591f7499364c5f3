//! What a head says about its connection: options, persistence, `Expect`, `Upgrade`.

use crate::fields::{FieldSpans, FieldTable, Fields};
use crate::framing::Version;
use crate::known_name::{KnownName, NameMatch};
use crate::limits::CONNECTION_OPTIONS_MAX;
use crate::octets::trim;
use crate::violation::Violation;

/// The options of all `Connection` fields (RFC 9110, 7.6.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ConnectionOptions {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
}

/// What a client expects before it sends the content (RFC 9110, 10.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// No `Expect` header, or HTTP/1.0, where it is ignored.
    None,
    /// The expectation `100-continue` (RFC 9110, 10.1.1).
    Continue,
    /// Another expectation. A server may refuse it with status 417.
    Unknown,
}

impl ConnectionOptions {
    /// Reads the options and marks the fields that they name.
    pub(crate) fn read(bytes: &[u8], table: &mut FieldTable) -> Result<Self, Violation> {
        let mut options = Self::default();
        if table.first(KnownName::ProxyConnection).is_some() {
            // A hop before this one added it by mistake (RFC 9112, C.2.2): only the end of the connection is believed.
            let mut all = table.over(bytes).all(KnownName::ProxyConnection);
            options.close = all.any(|value| list(value).any(|option| option.eq_ignore_ascii_case(b"close")));
        }
        let Some(first) = table.first(KnownName::Connection) else { return Ok(options) };
        match first.value.slice(bytes) {
            _ if table.is_repeated(KnownName::Connection) => {}
            value if value.eq_ignore_ascii_case(b"keep-alive") => {
                options.keep_alive = true;
                return Ok(options);
            }
            value if value.eq_ignore_ascii_case(b"close") => {
                options.close = true;
                return Ok(options);
            }
            _ => {}
        }
        options.read_lists(bytes, table)?;
        Ok(options)
    }

    #[cold]
    fn read_lists(&mut self, bytes: &[u8], table: &mut FieldTable) -> Result<(), Violation> {
        let mut named = [&[][..]; CONNECTION_OPTIONS_MAX];
        let mut count = 0;
        let is_connection = |field: &&FieldSpans| field.known == NameMatch::Exact(KnownName::Connection);
        let values = table.list.iter().filter(is_connection).map(|field| field.value.slice(bytes));
        for option in values.flat_map(list) {
            *named.get_mut(count).ok_or(Violation::ConnectionOptions)? = option;
            count += 1;
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
        let named = named.get(..count).unwrap_or_default();
        for field in &mut table.list {
            let name = field.name(bytes);
            field.is_named_by_connection =
                is_removable(field.known) && named.iter().any(|option| option.eq_ignore_ascii_case(name));
        }
        Ok(())
    }

    /// Whether the connection persists after the message (RFC 9112, 9.3).
    pub(crate) const fn persists(self, version: Version) -> bool {
        match version {
            Version::Http11 => !self.close,
            Version::Http10 => self.keep_alive && !self.close,
        }
    }

    /// The protocols that a head asks for, or changes to, in HTTP/1.1 (RFC 9110, 7.8).
    pub(crate) fn upgrade<'a>(self, fields: Fields<'a>, version: Version) -> Option<&'a [u8]> {
        let value = fields.get(KnownName::Upgrade)?;
        (self.upgrade && version == Version::Http11 && !value.is_empty()).then_some(value)
    }
}

impl Expectation {
    pub(crate) fn read(fields: Fields<'_>, version: Version) -> Self {
        match (version, fields.get(KnownName::Expect)) {
            (Version::Http10, _) | (_, None) => Self::None,
            (_, Some(value))
                if fields.is_repeated(KnownName::Expect) || !value.eq_ignore_ascii_case(b"100-continue") =>
            {
                Self::Unknown
            }
            (_, Some(_)) => Self::Continue,
        }
    }
}

impl<'a> Fields<'a> {
    /// The options of all `Connection` fields. A trailer that one of them names belongs to the connection, as a field of
    /// the head does (RFC 9110, 7.6.1).
    pub fn connection_options(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.all(KnownName::Connection).flat_map(list)
    }

    /// Whether the sender of a request keeps trailers of the response (RFC 9110, 6.5.1 and 10.1.4).
    #[must_use]
    pub fn accepts_trailers(&self) -> bool {
        self.all(KnownName::Te).flat_map(list).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
    }
}

/// Whether `Connection` may name the field. A sender must not name fields for all recipients (RFC 9110, 7.6.1); without
/// these three the message would be another one.
const fn is_removable(known: NameMatch) -> bool {
    use KnownName::{ContentLength, Host, TransferEncoding};
    !matches!(known, NameMatch::Exact(ContentLength | Host | TransferEncoding))
}

/// The elements of a list, also empty ones.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|octet| *octet == b',').map(trim)
}
