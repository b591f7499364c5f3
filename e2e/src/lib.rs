//! Runs the built binary as a separate process and checks it from outside.
//!
//! The harness uses no crate of the product: it knows only the command line, the protocols and the files. A failure is
//! a panic whose message contains the observed values. Waits on sockets take at most [`wire::PATIENCE`].
//!
//! Reading order:
//! - [`gateway`]: one running server, a [`child`] process; [`setup`]: its configuration; [`commands`]: the syntax of the command line
//! - [`terminal`]: commands on a pseudo-terminal; [`database`]: the rows of the store
//! - [`postgres`], [`redis`], [`bind`], [`etcd`] and [`consul`]: servers that a test can stop
//! - [`tcp_relay`]: a relay that a test can cut; [`statements`]: a relay that is cut at the n-th statement
//! - [`faults`]: failures of disk and clock
//! - [`client`]: the client side; [`upstream`]: a scripted server; both use [`wire`], HTTP/1.1 with every byte visible
//! - [`document`]: checks of control's responses against the OpenAPI document
//! - [`recorder`]: a backend that records all requests and parses them strictly with [`reading`]
//! - [`vitals`]: memory, CPU time and descriptors of a process; [`memory_bound`]: a maximum of its memory
//! - [`mock`] and [`sse`]; [`clients`]: the official client libraries, run by [`sdk`] (Node) and [`python`] with [`tools`]
#![expect(clippy::panic, clippy::indexing_slicing, reason = "a harness fails by panicking; JSON is read by indexing")]

pub mod bind;
pub mod child;
pub mod client;
pub mod clients;
pub mod commands;
pub mod consul;
pub mod database;
pub mod document;
pub mod etcd;
pub mod faults;
pub mod gateway;
pub mod kept;
pub mod memory_bound;
pub mod mock;
pub mod postgres;
pub mod python;
pub mod reading;
pub mod recorder;
pub mod redis;
pub mod sdk;
pub mod setup;
pub mod sse;
pub mod statements;
pub mod tcp_relay;
pub mod terminal;
pub mod tools;
pub mod upstream;
pub mod vitals;
pub mod wait;
pub mod wire;

pub use bind::Bind;
pub use client::{Answer, Call, Exchange};
pub use consul::Consul;
pub use document::Document;
pub use etcd::Etcd;
pub use gateway::{Account, Gateway};
pub use memory_bound::MemoryBound;
pub use mock::Mock;
pub use recorder::Recorder;
pub use redis::Redis;
pub use setup::Setup;
pub use tcp_relay::TcpRelay;
pub use upstream::{ReservedPort, Turn, Upstream};
pub use vitals::Vitals;
pub use wait::{Canary, at_once, eventually, eventually_within, timed, with_progress};
pub use wire::{Framing, Head, Piece, Wire};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Returns a JSON string as text; panics if the value is not a string.
#[must_use]
#[track_caller]
pub fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => panic!("not a string: {value}"),
    }
}

/// Returns whether tests of crashes, faults and outages run at length, as in `make soak`.
#[must_use]
pub fn is_long() -> bool {
    std::env::var("TOLLGATE_TEST_LONG").is_ok_and(|long| long == "1")
}

/// Returns the SHA-256 hash in lowercase hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns whether `text` is a UUID of version 7 in its usual lowercase form.
#[must_use]
pub fn is_uuid_v7(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 36
        && bytes.get(14) == Some(&b'7')
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// Returns every key (`PREFIX_` and 32 hex digits) in `text`, in order, without duplicates.
#[must_use]
pub fn keys_in(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        let is_key = word.rsplit_once('_').is_some_and(|(prefix, secret)| {
            !prefix.is_empty() && secret.len() == 32 && secret.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        if is_key && !found.iter().any(|key| key == word) {
            found.push(word.to_owned());
        }
    }
    found
}
