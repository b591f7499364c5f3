//! How long a request head takes to be parsed, and to be parsed and written: `cargo bench -p http1 --bench head`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

use std::hint::black_box;
use std::time::Instant;

use http1::{HeadEdits, HeadLimits, KnownName, RequestParser, write_fields, write_request_line};

/// A round is short, so that no other process interrupts most of them.
const HEADS: u32 = 5_000;
const ROUNDS: u32 = 400;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut edits = HeadEdits::for_forwarding();
    edits.set(KnownName::Host, b"10.0.0.7:9000")?;
    edits.set(KnownName::XForwardedFor, b"192.0.2.1")?;
    edits.set(KnownName::XForwardedProto, b"http")?;
    edits.set(KnownName::XRequestId, b"019a9f3e-7c1a-7b20-9d2e-4c51f0a6b7d8")?;
    for (name, head) in [("curl", curl()), ("sdk", sdk()), ("codex", codex())] {
        let mut parser = RequestParser::new(HeadLimits::default());
        let mut out = Vec::new();
        let parsed = fastest(|| {
            let head = parser.parse(black_box(&head)).ok().flatten()?;
            parser.recycle(black_box(head));
            Some(())
        });
        let written = fastest(|| {
            let parsed = parser.parse(black_box(&head)).ok().flatten()?;
            let request = parsed.over(&head);
            out.clear();
            write_request_line(&mut out, request.method(), &request.origin_target()).ok()?;
            write_fields(&mut out, request.fields(), &edits, parsed.announced());
            black_box(&out);
            parser.recycle(parsed);
            Some(())
        });
        println!("{name}: {} bytes, {parsed:?} ns parsed, {written:?} ns parsed and written", head.len());
    }
    Ok(())
}

/// Nanoseconds a call in the fastest round; `None` if a call fails.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time, and the crate has no clock")]
fn fastest(mut call: impl FnMut() -> Option<()>) -> Option<u128> {
    let mut fastest = u128::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..HEADS {
            call()?;
        }
        fastest = fastest.min(start.elapsed().as_nanos() / u128::from(HEADS));
    }
    Some(fastest)
}

fn curl() -> Vec<u8> {
    b"GET /api/users?page=2 HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.9.1\r\nAccept: */*\r\n\r\n".to_vec()
}

/// A request of OpenAI's Python client, without content.
fn sdk() -> Vec<u8> {
    let key = "0123456789abcdef".repeat(2);
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost:8080\r\nAccept-Encoding: gzip, deflate\r\n\
         Connection: keep-alive\r\nAccept: application/json\r\nContent-Type: application/json\r\n\
         User-Agent: OpenAI/Python 1.109.1\r\nAuthorization: Bearer tollgate_{key}\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// A request like those of Codex: several fields, and a long one.
fn codex() -> Vec<u8> {
    let key = "0123456789abcdef".repeat(2);
    let token = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9".repeat(12);
    format!(
        "POST /v1/responses HTTP/1.1\r\nauthorization: Bearer tollgate_{key}\r\nversion: 0.169.0\r\n\
         openai-beta: responses=experimental\r\nconversation_id: 019a9f3e-7c1a-7b20-9d2e-4c51f0a6b7d8\r\n\
         session_id: 019a9f3e-7c1a-7b20-9d2e-4c51f0a6b7d8\r\naccept: text/event-stream\r\n\
         content-type: application/json\r\nuser-agent: codex_cli_rs/0.169.0 (Debian 13.0.0; x86_64) xterm-256color\r\n\
         originator: codex_cli_rs\r\nx-codex-turn-metadata: {{\"sandbox\":\"none\",\"turn_id\":\"019a9f3e-7c1a-7b20\"}}\r\n\
         x-codex-state: {token}{token}\r\nhost: 127.0.0.1:8080\r\ncontent-length: 0\r\n\r\n"
    )
    .into_bytes()
}
