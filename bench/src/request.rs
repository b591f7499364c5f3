//! The requests of the rows, as a script of wrk and as bytes.

/// The bytes of an LLM request's body.
const BODY_BYTES: usize = 1_024;
/// The nine header fields that OpenAI's client for Python adds to `Host` and `Authorization`.
pub(crate) const SDK_HEADERS: [(&str, &str); 9] = [
    ("Accept", "application/json"),
    ("User-Agent", "OpenAI/Python 2.10.0"),
    ("X-Stainless-Lang", "python"),
    ("X-Stainless-Package-Version", "2.10.0"),
    ("X-Stainless-OS", "Linux"),
    ("X-Stainless-Arch", "x64"),
    ("X-Stainless-Runtime", "CPython"),
    ("X-Stainless-Runtime-Version", "3.11.7"),
    ("X-Stainless-Async", "false"),
];
/// The script for several keys, and the end of each script.
const KEYS: &str = include_str!("../wrk/keys.lua");
const DONE: &str = include_str!("../wrk/done.lua");
/// The number of keys for the requests after the stop: the maximum of connections.
const RESERVE: usize = 2_000;

/// A request that a row repeats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BenchRequest {
    pub(crate) scheme: &'static str,
    pub(crate) path: &'static str,
    pub(crate) headers: &'static [(&'static str, &'static str)],
    pub(crate) credential: Credential,
    pub(crate) body: RequestBody,
}

/// The credential in the header `Authorization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    None,
    /// A key of a user, whose usage is counted.
    Key,
    /// An access token. Only a Tollgate whose configuration has an issuer has its route.
    Token,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestBody {
    /// A GET request without a body.
    None,
    Unstreamed,
    /// The same, to the model of [`crate::product::ServerConfig::targets`].
    Targeted,
    /// A stream of 100 tokens with 2 ms between them.
    Streamed,
    /// A message of gRPC, of 64 bytes.
    Message,
}

impl BenchRequest {
    pub(crate) const PLAIN: Self = Self {
        scheme: "http",
        path: "/plain/open",
        headers: &[],
        credential: Credential::None,
        body: RequestBody::None,
    };
    pub(crate) const KEYED: Self = Self { path: "/plain/keyed", credential: Credential::Key, ..Self::PLAIN };
    pub(crate) const TOKEN: Self = Self { path: "/plain/jwt", credential: Credential::Token, ..Self::PLAIN };
    pub(crate) const LLM: Self = Self { path: "/v1/chat/completions", body: RequestBody::Unstreamed, ..Self::KEYED };

    /// A request of which a header is removed and two are set, as in its response.
    pub(crate) const EDITED: Self = Self { path: "/plain/edited", headers: &[("X-Internal", "1")], ..Self::PLAIN };
    /// A request for 16 KiB of JSON that its client decompresses.
    pub(crate) const COMPRESSED: Self =
        Self { path: "/plain/json", headers: &[("Accept-Encoding", "gzip")], ..Self::PLAIN };
    /// A call of gRPC.
    pub(crate) const CALL: Self = Self {
        path: "/bench.Echo/Unary",
        headers: &[("content-type", "application/grpc"), ("te", "trailers")],
        body: RequestBody::Message,
        ..Self::PLAIN
    };
    /// A request for a WebSocket.
    pub(crate) const SOCKET: Self = Self {
        path: "/plain/socket",
        headers: &[
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ],
        ..Self::PLAIN
    };

    pub(crate) const fn with(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }

    pub(crate) const fn with_path(self, path: &'static str) -> Self {
        Self { path, ..self }
    }

    pub(crate) fn method(&self) -> &'static str {
        if self.body == RequestBody::None { "GET" } else { "POST" }
    }

    /// The body of [`BODY_BYTES`], a message, or nothing.
    pub(crate) fn body(&self) -> String {
        let (model, more) = match self.body {
            RequestBody::None => return String::new(),
            // Not compressed, and the length in four bytes.
            RequestBody::Message => return format!("\0\0\0\0@{}", "x".repeat(64)),
            RequestBody::Unstreamed => ("mock/instant", ""),
            RequestBody::Targeted => ("targeted", ""),
            RequestBody::Streamed => ("mock/tokens-100-2", r#","stream":true,"stream_options":{"include_usage":true}"#),
        };
        let body =
            |text: &str| format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{text}"}}]{more}}}"#);
        body(&"x".repeat(BODY_BYTES.saturating_sub(body("").len())))
    }

    /// The script that sets wrk's request. Requests use several keys in turn, or, with `once`, each of them once.
    pub(crate) fn lua(&self, keys: &[String], once: bool) -> String {
        let mut lua: String =
            self.headers.iter().map(|(name, value)| format!("wrk.headers[\"{name}\"] = \"{value}\"\n")).collect();
        match keys {
            _ if self.credential == Credential::None => {}
            [key] if !once => lua += &format!("wrk.headers[\"Authorization\"] = \"Bearer {key}\"\n"),
            keys => {
                let script = KEYS.replace("{{keys}}", &format!("\"{}\"", keys.join("\",\"")));
                let script = script.replace("{{reserve}}", &RESERVE.min(keys.len()).to_string());
                lua += &script.replace("{{once}}", if once { "true" } else { "false" });
            }
        }
        if self.body != RequestBody::None {
            lua += "wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\n";
            lua += &format!("wrk.body = [==[{}]==]\n", self.body());
        }
        lua + DONE
    }

    /// The bytes of one request, with the same fields as the script's.
    pub(crate) fn bytes(&self, key: &str) -> String {
        let mut request = format!("{} {} HTTP/1.1\r\nHost: bench\r\n", self.method(), self.path);
        for (name, value) in self.headers {
            request += &format!("{name}: {value}\r\n");
        }
        if self.credential != Credential::None {
            request += &format!("Authorization: Bearer {key}\r\n");
        }
        let body = self.body();
        if !body.is_empty() {
            request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        request + "\r\n" + &body
    }
}

/// Any key but zero, so that masking changes each octet.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// A whole binary message in one frame (RFC 6455, 5.2).
const BINARY: u8 = 0x82;

/// The frame of a message, and that of its echo, which is not masked.
pub(crate) struct EchoedMessage {
    pub(crate) sent: Vec<u8>,
    pub(crate) echo: Vec<u8>,
}

impl EchoedMessage {
    pub(crate) fn with_bytes(bytes: u32) -> Self {
        let payload: Vec<u8> = (0..bytes).map(|at| at.to_le_bytes()[0]).collect();
        let masked = payload.iter().zip(MASK.iter().cycle()).map(|(octet, mask)| octet ^ mask);
        let head = |mark: u8| match u8::try_from(bytes) {
            Ok(short @ 0..=125) => vec![BINARY, mark | short],
            Ok(_) | Err(_) => [&[BINARY, mark | 127][..], &u64::from(bytes).to_be_bytes()].concat(),
        };
        let sent = head(0x80).into_iter().chain(MASK).chain(masked).collect();
        Self { sent, echo: [head(0), payload].concat() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::LoadKind;
    use crate::rows::ROWS;

    #[test]
    fn a_script_has_each_key_once() {
        let keys = ["k1", "k2"].map(str::to_owned);
        let lua = BenchRequest::KEYED.lua(&keys, false);
        assert!(["{ \"k1\",\"k2\" }", "if false and at"].iter().all(|part| lua.contains(part)), "{lua}");
        let one = BenchRequest::KEYED.lua(&keys[..1], false);
        assert_eq!(one, format!("wrk.headers[\"Authorization\"] = \"Bearer k1\"\n{DONE}"));
        assert_eq!(BenchRequest::PLAIN.lua(&keys, false), DONE);
        let once = BenchRequest::TOKEN.lua(&keys, true);
        assert!(
            ["{ \"k1\",\"k2\" }", "if true and at >= #requests - 2 "].iter().all(|part| once.contains(part)),
            "{once}"
        );
    }

    #[test]
    fn a_script_and_a_request_have_the_same_fields() {
        for request in ROWS.into_iter().filter(|row| row.load == LoadKind::Wrk).map(|row| row.request) {
            let lua = request.lua(&[String::from("k1")], false);
            let bytes = request.bytes("k1");
            let body = request.body();
            let (head, sent) = bytes.split_once("\r\n\r\n").unwrap();
            let fields: Vec<&str> = head.lines().skip(1).filter_map(|line| Some(line.split_once(": ")?.0)).collect();
            for field in &fields {
                let is_wrks = matches!(*field, "Host" | "Content-Length");
                assert!(is_wrks || lua.contains(&format!("headers[\"{field}\"]")), "{field}: {lua}");
            }
            assert_eq!(lua.matches("wrk.headers").count() + 1 + usize::from(!body.is_empty()), fields.len());
            assert_eq!((sent, request.credential != Credential::None), (body.as_str(), head.contains("k1")));
            if !body.is_empty() {
                assert_eq!(body.len(), BODY_BYTES);
                assert!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["model"].is_string());
            }
        }
    }

    #[test]
    fn a_message_is_masked_and_its_echo_is_not() {
        let EchoedMessage { sent, echo } = EchoedMessage::with_bytes(3);
        assert_eq!(echo, [0x82, 3, 0, 1, 2]);
        assert_eq!(sent, [0x82, 0x83, 0x37, 0xfa, 0x21, 0x3d, 0x37, 0xfb, 0x23]);
        let EchoedMessage { sent, echo } = EchoedMessage::with_bytes(65_536);
        assert_eq!((&sent[..8], &echo[..8]), (&[0x82, 0xff, 0, 0, 0, 0, 0, 1][..], &[0x82, 127, 0, 0, 0, 0, 0, 1][..]));
        assert_eq!((sent.len(), echo.len()), (65_536 + 14, 65_536 + 10));
    }
}
