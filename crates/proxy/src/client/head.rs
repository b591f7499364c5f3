//! The head of a client's request: immutable, as it was received. Changes for an upstream are `http1::HeadEdits`, which are
//! applied when the head is written.

use std::cell::RefCell;
use std::rc::Rc;
use std::str;
use std::time::Duration;

use bytes::Bytes;
use config::snapshot::merged;
use http1::{
    AnnouncedContent, Expectation, FieldMemory, Fields, HeadLimits, KnownName, Request, RequestHead, RequestParser,
    RequestTarget, Version, Violation, escaped_target,
};

use super::moved_keys::MovedKeys;

/// The maximum length of a correlation id.
const CORRELATION_LEN_MAX: usize = 128;
/// Maximum number of fields in a request's head.
pub(crate) const FIELDS_MAX: usize = 100;
/// Maximum number of unused heads of a worker.
const UNUSED_MAX: usize = 64;
/// The head that represents a refused one whose request line is invalid.
const UNREADABLE: &[u8] = b"- / HTTP/1.0\r\n\r\n";

/// A request head with its bytes.
pub(crate) struct Head {
    bytes: Bytes,
    parsed: RequestHead,
    violation: Option<Violation>,
    keys: Option<Box<MovedKeys>>,
}

/// Unused heads of a worker, whose memory further requests use.
#[derive(Default)]
pub(crate) struct UnusedHeads(RefCell<Vec<Rc<Head>>>);

impl UnusedHeads {
    /// Joins a parsed head with the bytes from which it was parsed, in the memory of an earlier one if there is any.
    pub(crate) fn join(&self, bytes: Bytes, parsed: RequestHead) -> Rc<Head> {
        let head = Head::new(bytes, parsed);
        let unused = self.0.borrow_mut().pop();
        let Some(mut unused) = unused else { return Rc::new(head) };
        match Rc::get_mut(&mut unused) {
            Some(place) => {
                *place = head;
                unused
            }
            None => Rc::new(head),
        }
    }

    /// Keeps the memory of a head, unless something still refers to it. Returns the memory of its fields.
    pub(crate) fn give_back(&self, mut head: Rc<Head>) -> Option<FieldMemory> {
        let used = Rc::get_mut(&mut head)?;
        let memory = used.parsed.take_memory();
        (used.bytes, used.keys) = (Bytes::new(), None);
        let mut unused = self.0.borrow_mut();
        if unused.len() < UNUSED_MAX {
            unused.push(head);
        }
        Some(memory)
    }
}

impl Head {
    /// Joins a parsed head with the bytes from which it was parsed.
    pub(crate) const fn new(bytes: Bytes, parsed: RequestHead) -> Self {
        Self { bytes, parsed, violation: None, keys: None }
    }

    /// Returns the head that the gateway has written itself; `None` if it breaks a rule.
    pub(crate) fn written(bytes: Vec<u8>) -> Option<Self> {
        let parsed = parse(&bytes)?;
        Some(Self::new(Bytes::from(bytes), parsed))
    }

    /// Whether the query has characters that must be percent-encoded.
    pub(crate) fn has_raw_query(&self) -> bool {
        self.request().has_raw_query()
    }

    /// Returns the head with the characters of its query percent-encoded, or a refused head if its target is too large then.
    pub(crate) fn with_escaped_query(head: &Self) -> Rc<Self> {
        let target = head.request().target_bytes();
        let at = target.as_ptr().addr().checked_sub(head.bytes.as_ptr().addr());
        let replaced = at.and_then(|at| {
            let before = head.bytes.get(..at)?;
            let after = head.bytes.get(at + target.len()..)?;
            Self::written([before, &escaped_target(target), after].concat())
        });
        Rc::new(match replaced {
            Some(replaced) => Self { violation: head.violation, ..replaced },
            None => Self::refused(None, Violation::TargetTooLarge),
        })
    }

    /// Returns the head with each run of slashes in its path as one, or a refused head if that is invalid.
    pub(crate) fn with_merged_slashes(head: Rc<Self>) -> Rc<Self> {
        let Some(path) = merged(head.path()) else { return head };
        let replaced = head.request().path().and_then(|received| {
            let at = received.as_ptr().addr().checked_sub(head.bytes.as_ptr().addr())?;
            let before = head.bytes.get(..at)?;
            let after = head.bytes.get(at + received.len()..)?;
            Self::written([before, path.as_bytes(), after].concat())
        });
        match replaced {
            Some(replaced) => Rc::new(Self { violation: head.violation, ..replaced }),
            None => Rc::new(Self::refused(None, Violation::Target)),
        }
    }

    /// Represents a head that the parser refused, by its method and target if they are known. HTTP/1.0 needs no `Host`.
    pub(crate) fn refused(line: Option<(&[u8], &[u8])>, violation: Violation) -> Self {
        let line = line.map(|(method, target)| [method, b" ", target, b" HTTP/1.0\r\n\r\n"].concat());
        let parsed = line.and_then(|line| Some((parse(&line)?, Bytes::from(line))));
        let (parsed, bytes) = parsed.unwrap_or_else(unreadable);
        Self { bytes, parsed, violation: Some(violation), keys: None }
    }

    /// Returns the head as one whose keys are elsewhere.
    pub(crate) fn with_keys(self, keys: MovedKeys) -> Self {
        Self { keys: Some(Box::new(keys)), ..self }
    }

    /// The keys that the head does not contain.
    pub(crate) fn keys(&self) -> Option<&MovedKeys> {
        self.keys.as_deref()
    }

    /// The rule that the received head breaks. The head then has no fields.
    pub(crate) const fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// The bytes that all fields of the head point into.
    pub(crate) const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The method: a token, case-sensitive.
    pub(crate) fn method(&self) -> &str {
        match self.method_bytes() {
            // The octets of the usual methods need no check.
            b"GET" => "GET",
            b"POST" => "POST",
            other => ascii(other),
        }
    }

    /// The method as it was received.
    pub(crate) fn method_bytes(&self) -> &[u8] {
        self.request().method()
    }

    pub(crate) const fn version(&self) -> Version {
        self.parsed.version()
    }

    /// Whether the connection may serve another request.
    pub(crate) fn persists(&self) -> bool {
        self.parsed.persists()
    }

    /// Whether a repetition of the request has the same effect (RFC 9110, 9.2.2).
    pub(crate) fn is_idempotent(&self) -> bool {
        matches!(self.method_bytes(), b"GET" | b"HEAD" | b"PUT" | b"DELETE" | b"OPTIONS" | b"TRACE")
    }

    /// Whether the request is safe: it changes no resource (RFC 9110, 9.2.1).
    pub(crate) fn is_safe(&self) -> bool {
        matches!(self.method_bytes(), b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE")
    }

    /// Whether the request is a call of gRPC, whose messages may be a stream. Calls of gRPC-Web have another content type.
    pub(crate) fn is_grpc(&self) -> bool {
        const GRPC: &[u8] = b"application/grpc";
        let is_of =
            |of: &[u8]| of.strip_prefix(GRPC).is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')));
        self.method_bytes() == b"POST" && self.get(KnownName::ContentType).is_some_and(is_of)
    }

    /// Returns the time that a call of gRPC may take, if its client says so: a number of at most 8 digits with a unit.
    pub(crate) fn grpc_timeout(&self) -> Option<Duration> {
        let text = self.fields().named(b"grpc-timeout").next().and_then(text)?;
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
        if !is_number {
            return None;
        }
        let number = digits.parse().ok()?;
        match unit {
            "H" => Some(Duration::from_secs(number * 3_600)),
            "M" => Some(Duration::from_secs(number * 60)),
            "S" => Some(Duration::from_secs(number)),
            "m" => Some(Duration::from_millis(number)),
            "u" => Some(Duration::from_micros(number)),
            "n" => Some(Duration::from_nanos(number)),
            _ => None,
        }
    }

    /// Whether the client asks for a tunnel (CONNECT).
    pub(crate) fn is_connect(&self) -> bool {
        matches!(self.request().target(), RequestTarget::Authority(_))
    }

    /// Whether the request is about the gateway as a whole and not about a resource (RFC 9112, 3.2.4).
    pub(crate) fn is_about_server(&self) -> bool {
        match self.request().target() {
            RequestTarget::Asterisk => true,
            RequestTarget::Absolute { path_and_query, .. } => path_and_query.is_empty() && self.method() == "OPTIONS",
            RequestTarget::Origin { .. } | RequestTarget::Authority(_) => false,
        }
    }

    /// Returns how many gateways may forward an OPTIONS or TRACE request; `None` for others, and if the client sets no valid
    /// bound (RFC 9110, 7.6.2). The least of several bounds applies.
    pub(crate) fn max_forwards(&self) -> Option<u64> {
        self.get(KnownName::MaxForwards)?;
        if !matches!(self.method_bytes(), b"OPTIONS" | b"TRACE") {
            return None;
        }
        let is_number = |value: &&[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let values = self.fields().all(KnownName::MaxForwards).filter(is_number);
        // A number that is too large is no bound in practice.
        values.map(|digits| ascii(digits).parse().unwrap_or(u64::MAX)).min()
    }

    /// The path without the query, as it was received. A target without a path has `*`, or nothing in a CONNECT request.
    pub(crate) fn path(&self) -> &str {
        let request = self.request();
        match request.path() {
            Some(path) => ascii(path),
            None if request.target() == RequestTarget::Asterisk => "*",
            None => "",
        }
    }

    /// The host and port to which the request was sent; empty if they are unknown. Those of an absolute target replace
    /// `Host` (RFC 9112, 3.2.2).
    pub(crate) fn host(&self) -> &[u8] {
        self.request().authority().unwrap_or_default()
    }

    /// The query without its question mark, as it was received.
    pub(crate) fn query(&self) -> Option<&str> {
        self.request().query().map(ascii)
    }

    /// The path and query in two parts, of which the first is the root path that an absolute target may omit. Both are
    /// ASCII.
    pub(crate) fn path_and_query(&self) -> [&[u8]; 2] {
        match self.request().target() {
            RequestTarget::Origin { path_and_query } => [b"", path_and_query],
            RequestTarget::Absolute { path_and_query, .. } if path_and_query.first() == Some(&b'/') => {
                [b"", path_and_query]
            }
            RequestTarget::Absolute { path_and_query, .. } => [b"/", path_and_query],
            RequestTarget::Asterisk => [b"", b"*"],
            RequestTarget::Authority(_) => [b"", b""],
        }
    }

    /// Returns all fields of the head.
    pub(crate) fn fields(&self) -> Fields<'_> {
        self.request().fields()
    }

    /// The value of the first field of this name.
    pub(crate) fn get(&self, name: KnownName) -> Option<&[u8]> {
        self.fields().get(name)
    }

    /// The protocols to which the client asks to change (RFC 9110, 7.8).
    pub(crate) fn upgrade(&self) -> Option<&[u8]> {
        self.request().upgrade()
    }

    /// Whether the client keeps trailers of the response (RFC 9110, 6.5.1). Only chunked content, of HTTP/1.1, has some.
    pub(crate) fn accepts_trailers(&self) -> bool {
        self.get(KnownName::Te).is_some()
            && self.parsed.version() == Version::Http11
            && self.fields().accepts_trailers()
    }

    /// Whether the client waits for `100 (Continue)` before it sends the content.
    pub(crate) fn expects_continue(&self) -> bool {
        self.request().expectation() == Expectation::Continue
    }

    /// Returns the content that the framing fields announce.
    pub(crate) const fn announced(&self) -> AnnouncedContent {
        self.parsed.announced()
    }

    /// The client's own id of the request, if it is 1 to 128 visible ASCII characters (GW-6.3).
    pub(crate) fn correlation(&self) -> Option<&str> {
        let value = self.get(KnownName::XRequestId)?;
        let is_visible = value.iter().all(u8::is_ascii_graphic);
        (is_visible && (1..=CORRELATION_LEN_MAX).contains(&value.len())).then(|| ascii(value))
    }

    fn request(&self) -> Request<'_> {
        self.parsed.over(&self.bytes)
    }
}

/// Whether a name is one of `names`; see [`is_same_name`].
pub(crate) fn is_one_of<S: AsRef<str>>(name: &[u8], names: impl IntoIterator<Item = S>) -> bool {
    names.into_iter().any(|other| is_same_name(name, other.as_ref().as_bytes()))
}

/// Whether two names are equal in any case, if underscores are hyphens, as for backends behind CGI.
pub(crate) fn is_same_name(name: &[u8], other: &[u8]) -> bool {
    let plain = |octet: &u8| if *octet == b'_' { b'-' } else { octet.to_ascii_lowercase() };
    name.len() == other.len() && name.iter().map(plain).eq(other.iter().map(plain))
}

/// A field value as text, if it is ASCII. The parser accepts no control octets but tabs.
pub(crate) fn text(value: &[u8]) -> Option<&str> {
    str::from_utf8(value).ok().filter(|text| text.is_ascii())
}

/// Whether the client asks to change to a WebSocket (RFC 6455, 4.1).
pub(crate) fn requests_websocket(head: &Head) -> bool {
    head.upgrade().is_some_and(is_websocket)
}

/// Whether `Upgrade` names only WebSocket.
pub(crate) fn is_websocket(protocol: &[u8]) -> bool {
    protocol.eq_ignore_ascii_case(b"websocket")
}

/// Octets that the parser accepts as ASCII only.
fn ascii(octets: &[u8]) -> &str {
    str::from_utf8(octets).unwrap_or_default()
}

fn parse(bytes: &[u8]) -> Option<RequestHead> {
    // The bounds are those of the parser: a bound of the configuration was applied before.
    RequestParser::new(HeadLimits::new(usize::MAX, usize::MAX, usize::MAX)).parse(bytes).ok().flatten()
}

#[expect(clippy::expect_used, reason = "a test parses this constant")]
fn unreadable() -> (RequestHead, Bytes) {
    (parse(UNREADABLE).expect("the constant is a valid head"), Bytes::from_static(UNREADABLE))
}

#[cfg(test)]
pub(crate) mod tests;
