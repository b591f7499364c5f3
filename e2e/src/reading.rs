//! A strict parser of HTTP/1.1 requests, as a backend without tolerance would read them.
//!
//! It is stricter than RFC 9112 requires of a server: bytes that two parsers could read differently are not a request.

/// A request with exactly one interpretation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method of the request.
    pub method: String,
    /// The target as written.
    pub target: String,
    /// Header fields: names in lowercase, values without surrounding whitespace; each character is one byte. Trailers
    /// follow, with names such as `trailer x-sum`.
    pub fields: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

/// The result of parsing the beginning of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// A whole request, and its length in bytes.
    Whole(Request, usize),
    /// The beginning of a request, so far valid.
    Part,
    /// Bytes that are not a valid request, and the reason.
    Wrong(&'static str),
}

type ParseResult<T> = Result<Option<T>, &'static str>;

/// The framing of a request's body.
enum BodyFraming {
    Length(usize),
    Chunked,
}

impl Request {
    /// Returns every value of field `name` (lowercase), in order.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
    }

    /// Returns `METHOD TARGET`, followed by ` | BODY` if there is a body.
    #[must_use]
    pub fn summary(&self) -> String {
        let line = format!("{} {}", self.method, self.target);
        if self.body.is_empty() { line } else { format!("{line} | {}", self.body.escape_ascii()) }
    }
}

/// Parses the first request of `bytes`.
#[must_use]
pub fn read(bytes: &[u8]) -> Reading {
    match whole(bytes) {
        Ok(Some((request, len))) => Reading::Whole(request, len),
        Ok(None) => Reading::Part,
        Err(why) => Reading::Wrong(why),
    }
}

fn whole(bytes: &[u8]) -> ParseResult<(Request, usize)> {
    let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        // An error that is already visible need not wait for the rest of the head.
        let lone = bytes.iter().zip(bytes.iter().skip(1)).any(|(a, b)| *b == b'\n' && *a != b'\r');
        return if lone { Err("a line ends with LF alone") } else { Ok(None) };
    };
    let mut request = head(bytes.get(..at).unwrap_or_default())?;
    let rest = bytes.get(at + 4..).unwrap_or_default();
    let taken = match framing(&request)? {
        BodyFraming::Length(length) => match rest.get(..length) {
            Some(body) => {
                request.body = body.to_vec();
                length
            }
            None => return Ok(None),
        },
        BodyFraming::Chunked => match chunks(rest)? {
            Some((body, trailers, taken)) => {
                request.body = body;
                request.fields.extend(trailers.into_iter().map(|(name, value)| (format!("trailer {name}"), value)));
                taken
            }
            None => return Ok(None),
        },
    };
    Ok(Some((request, at + 4 + taken)))
}

fn head(bytes: &[u8]) -> Result<Request, &'static str> {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let Some((method, (target, "HTTP/1.1"))) = words.next().zip(words.next().zip(words.next())) else {
        return Err("not METHOD TARGET HTTP/1.1");
    };
    if words.next().is_some() {
        return Err("not METHOD TARGET HTTP/1.1");
    }
    if !is_token(method) {
        return Err("the method is no token");
    }
    if !target.starts_with(['/', '*']) || !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err("the target is not in origin form");
    }
    let fields = lines.map(field).collect::<Result<_, _>>()?;
    Ok(Request { method: method.to_owned(), target: target.to_owned(), fields, body: Vec::new() })
}

/// Parses a field line without its end.
fn field(line: &str) -> Result<(String, String), &'static str> {
    let Some((name, value)) = line.split_once(':') else { return Err("a field has no colon") };
    if !is_token(name) {
        return Err("a field's name is no token");
    }
    if value.bytes().any(|byte| (byte.is_ascii_control() && byte != b'\t') || byte == 0x7f) {
        return Err("a field's value has a control character");
    }
    Ok((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
}

fn framing(request: &Request) -> Result<BodyFraming, &'static str> {
    let host = request.all("host");
    if host.len() != 1 || host.iter().any(|host| host.is_empty()) {
        return Err("not one Host");
    }
    let lengths = request.all("content-length");
    let codings = request.all("transfer-encoding");
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(BodyFraming::Length(0)),
        ([], ["chunked"]) => Ok(BodyFraming::Chunked),
        ([length], []) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
            length.parse().map(BodyFraming::Length).map_err(|_| "the length is not a number")
        }
        _ => Err("the body is framed twice or oddly"),
    }
}

/// The data of chunks, the trailers, and the length of both.
type ChunkedBody = (Vec<u8>, Vec<(String, String)>, usize);

/// Parses a chunked body without extensions.
fn chunks(bytes: &[u8]) -> ParseResult<ChunkedBody> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = rest.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
        match (digits, rest.get(digits..digits + 2)) {
            (_, None) => return Ok(None),
            (1.., Some(b"\r\n")) => {}
            _ => return Err("not a chunk's size"),
        }
        let size = usize::from_str_radix(size, 16).map_err(|_| "a chunk's size is out of range")?;
        at += digits + 2;
        if size == 0 {
            let trailers = trailers(bytes.get(at..).unwrap_or_default())?;
            return Ok(trailers.map(|(trailers, len)| (body, trailers, at + len)));
        }
        let Some(data) = bytes.get(at..at + size + 2) else { return Ok(None) };
        let Some(content) = data.strip_suffix(b"\r\n") else { return Err("a chunk does not end with CRLF") };
        body.extend(content);
        at += size + 2;
    }
}

/// Parses a trailer section with its final empty line.
fn trailers(bytes: &[u8]) -> ParseResult<(Vec<(String, String)>, usize)> {
    let mut fields = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(len) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        at += len + 2;
        if len == 0 {
            return Ok(Some((fields, at)));
        }
        let line: String = rest.iter().take(len).map(|byte| char::from(*byte)).collect();
        fields.push(field(&line)?);
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unambiguous_message_is_read_to_its_end() {
        for (sent, expected) in [
            (&b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n"[..], "GET /a?b"),
            (b"POST /a HTTP/1.1\r\nhost:x\r\ncontent-length: 2\r\n\r\nhi", "POST /a | hi"),
            (
                b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
                "POST /a | hi",
            ),
            (b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: y\r\nz:\r\n\r\n", "POST /a"),
        ] {
            for end in 0..sent.len() {
                assert_eq!(read(&sent[..end]), Reading::Part, "{end} of {}", sent.escape_ascii());
            }
            let followed = [sent, b"GET /next"].concat();
            let Reading::Whole(request, taken) = read(&followed) else { panic!("{:?}", read(&followed)) };
            assert_eq!((request.summary().as_str(), taken), (expected, sent.len()));
        }
    }

    #[test]
    fn an_ambiguous_message_is_an_error() {
        let fields = [
            "host: x\r\nhost: x",
            "host:",
            "x: y",
            "host: x\nx: y",
            "host : x",
            "host: x\r\n x: y",
            "host: x\r\nx: \0",
            "host: x\r\ncontent-length: 0\r\ntransfer-encoding: chunked",
            "host: x\r\ncontent-length: 1\r\ncontent-length: 1",
            "host: x\r\ncontent-length: +1",
            "host: x\r\ntransfer-encoding: gzip, chunked",
            "host: x\r\ntransfer-encoding: chunked\r\n\r\n0x1\r\nh\r\n0",
            "host: x\r\ntransfer-encoding: chunked\r\n\r\n1;a=b\r\nh\r\n0",
            "host: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nhi\r\n0",
            "host: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx y",
        ];
        for line in
            ["GET /a HTTP/1.0", "GET  /a HTTP/1.1", "GET http://x/a HTTP/1.1", "GET /a#b HTTP/1.1", "G@T /a HTTP/1.1"]
        {
            let sent = format!("{line}\r\nhost: x\r\n\r\n");
            assert!(matches!(read(sent.as_bytes()), Reading::Wrong(_)), "{sent}");
        }
        for fields in fields {
            let sent = format!("GET /a HTTP/1.1\r\n{fields}\r\n\r\n");
            assert!(matches!(read(sent.as_bytes()), Reading::Wrong(_)), "{sent}");
        }
    }
}
