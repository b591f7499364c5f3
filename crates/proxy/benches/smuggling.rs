//! How long the scan of a head takes: `cargo bench -p proxy --bench smuggling`.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::hint::black_box;

use access::Clock;
use proxy::smuggling::{ScanEvent, Scanner};

/// In a round short enough that no other process comes between in most of them.
const HEADS: u32 = 5_000;
const ROUNDS: u32 = 400;
const HEAD_BYTES_MAX: usize = 64 * 1024;

fn main() -> Result<(), String> {
    for (name, head) in [("sdk", sdk()), ("codex", codex()), ("curl", curl())] {
        let whole = fastest(&head, head.len())?;
        let halves = fastest(&head, head.len() / 2)?;
        println!("{name}: {} bytes, {whole} ns a head in one piece, {halves} ns in pieces", head.len());
    }
    Ok(())
}

/// Nanoseconds a head, in the fastest round.
fn fastest(head: &[u8], piece: usize) -> Result<u128, String> {
    let clock = Clock::system();
    let mut fastest = u128::MAX;
    for _ in 0..ROUNDS {
        let began = clock.mono();
        let mut scanner = Scanner::new(HEAD_BYTES_MAX);
        for _ in 0..HEADS {
            scan(&mut scanner, black_box(head), piece)?;
        }
        fastest = fastest.min(clock.mono().since(began).as_nanos() / u128::from(HEADS));
    }
    Ok(fastest)
}

fn scan(scanner: &mut Scanner, head: &[u8], piece: usize) -> Result<(), String> {
    for bytes in head.chunks(piece.max(1)) {
        match scanner.push(bytes).found {
            ScanEvent::Held => {}
            ScanEvent::Head(_) => drop(black_box(scanner.take_held())),
            found @ (ScanEvent::Body { .. } | ScanEvent::Refused(_)) => {
                return Err(format!("a good head is {found:?}"));
            }
        }
    }
    Ok(())
}

fn curl() -> Vec<u8> {
    b"GET /api/users?page=2 HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.9.1\r\nAccept: */*\r\n\r\n".to_vec()
}

/// An OpenAI client's in Python, its body's length 0.
fn sdk() -> Vec<u8> {
    let key = "0123456789abcdef".repeat(2);
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost:8080\r\nAccept-Encoding: gzip, deflate\r\n\
         Connection: keep-alive\r\nAccept: application/json\r\nContent-Type: application/json\r\n\
         User-Agent: OpenAI/Python 1.109.1\r\nAuthorization: Bearer tollgate_{key}\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// Of Codex's kind: some fields, and a long one.
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
