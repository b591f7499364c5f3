//! Measures the time of bounding a request compared with reading it: `cargo bench -p ai --bench bound`.
//!
//! With `-- read TIMES`, and likewise `rewrite`, `extent` and `price`, the benchmark only does this for the chat of
//! 1 KB, so that a profiler can count its instructions.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark measures time and prints it")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use ai::endpoint::EndpointMatch;
use ai::models::TokenLimits;
use ai::{Endpoint, Extent, Prices, request};
use bytes::Bytes;

/// Bytes that one round of a measurement reads; of [`ROUNDS`] rounds the fastest counts.
const BYTES: usize = 64 << 20;
const ROUNDS: usize = 7;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if let [work, times] = words.as_slice() {
        return repeat(work, times.parse().unwrap_or(1));
    }
    // `cargo test --benches` only checks that the benchmark runs.
    let bytes = if std::env::args().any(|word| word == "--bench") { BYTES } else { 1 };
    for (name, path, body) in [
        ("a chat of 1 KB", "/v1/chat/completions", chat(1 << 10)),
        ("a chat of 100 KB", "/v1/chat/completions", chat(100 << 10)),
        ("25 tools and a chat of 100 KB", "/v1/messages", agent(100 << 10)),
    ] {
        measure(name, path, &body, bytes);
    }
}

fn repeat(work: &str, times: u32) {
    let path = "/v1/chat/completions";
    let body = Bytes::from(chat(1 << 10));
    let EndpointMatch::Endpoint(called) = Endpoint::find("POST", path) else { return };
    let read = || request::read(&called, Some("application/json"), black_box(&body));
    let Ok(asked) = read() else { return };
    let prices = Prices::builtin();
    for _ in 0..times {
        match work {
            "read" => drop(black_box(read())),
            "rewrite" => drop(black_box(asked.rewrite(black_box(&body), "gpt-6.1-sol", true))),
            "extent" => drop(black_box(Extent::read(&called, &asked, black_box(&body)))),
            _ => {
                let names = black_box(["gpt-6.1-sol-2026-10-01", "gpt-6.1-sol"]);
                black_box(prices.find("openai", names, access::Day(20_778)));
            }
        }
    }
}

fn measure(name: &str, path: &str, body: &str, bytes: usize) {
    let EndpointMatch::Endpoint(called) = Endpoint::find("POST", path) else { return };
    let times = (bytes / body.len()).max(1);
    let fastest = |work: &dyn Fn()| {
        let rounds = (0..ROUNDS).map(|_| {
            let begun = Instant::now();
            (0..times).for_each(|_| work());
            begun.elapsed().as_nanos() / times as u128
        });
        rounds.min().unwrap_or_default()
    };
    let read = || request::read(&called, Some("application/json"), black_box(body.as_bytes()));
    let Ok(asked) = read() else { return };
    let extent = Extent::read(&called, &asked, body.as_bytes());
    let prices = Prices::builtin();
    let price = prices.find("openai", ["gpt-6.1-sol"], access::Day(20_778));
    let limits = TokenLimits::find("openai", ["gpt-6.1-sol"]);
    let reading = fastest(&|| {
        let _ = black_box(read());
    });
    let extending = fastest(&|| {
        let _ = black_box(Extent::read(&called, &asked, black_box(body.as_bytes())));
    });
    let bounding = fastest(&|| {
        let _ = black_box(black_box(&extent).bound(price, limits));
    });
    println!("{name}: read {reading} ns, its extent {extending} ns, a bound {bounding} ns");
}

/// Returns messages with the escapes of usual text, with a line feed about every 60 bytes.
fn chat(bytes: usize) -> String {
    let line = r#"The quick brown fox \"jumps\" over the lazy dog, they said.\n"#;
    let mut body = String::from(r#"{"model":"gpt-6.1-sol","stream":true,"max_completion_tokens":1024,"messages":["#);
    while body.len() < bytes {
        let role = if body.len() % 2 == 0 { "user" } else { "assistant" };
        let _ = write!(body, r#"{{"role":"{role}","content":"{}"}},"#, line.repeat(10.min(bytes / 100)));
    }
    body + r#"{"role":"user","content":"Go on."}]}"#
}

/// Returns the request of a coding agent: three quarters of it are declarations of tools.
fn agent(bytes: usize) -> String {
    let field = r#""path":{"type":"string","description":"The absolute path of the file, never a relative one."}"#;
    let mut body = String::from(r#"{"model":"claude-opus-5","max_tokens":64000,"tools":["#);
    while body.len() < bytes * 3 / 4 {
        let fields = [field; 30].join(",");
        let _ = write!(
            body,
            r#"{{"name":"tool_{}","description":"Does it.","input_schema":{{"type":"object","properties":{{{fields}}}}}}},"#,
            body.len()
        );
    }
    body += r#"{"name":"last","input_schema":{}}],"messages":["#;
    while body.len() < bytes {
        body += r#"{"role":"user","content":[{"type":"text","text":"One line of it,\nand another.","cache_control":{"type":"ephemeral"}}]},"#;
    }
    body + r#"{"role":"user","content":"Go on."}]}"#
}
