//! Drives the built binary from outside: starts it, calls it, stands behind it, and ends it again.
//!
//! Nothing here uses a crate of the product: what is known of it is its command line, its wire and its files. A harness
//! fails by panicking, with what it saw. Everything waits at most [`wire::PATIENCE`].
//!
//! Read in this order: [`gateway`] (one running server) with [`setup`] (how it is configured) and [`commands`] (the
//! spelling of the command line), [`terminal`] (where somebody types) and [`database`] (where its rows are) and
//! [`postgres`] and [`redis`] (servers that may be stopped), [`between`] (a way that may be cut), [`statements`] (one that is cut at the n-th), [`faults`] (a disk and a clock that misbehave); [`client`] (a caller) and [`upstream`] (who is called), both on [`wire`] (HTTP/1.1
//! with every byte in sight), and [`document`] (what control promises of its answers); [`recorder`] (a backend that notes all and reads it in one sense, [`reading`]); [`vitals`]
//! (memory, time, descriptors of a process); [`mock`], [`sse`]; [`clients`] (the official ones), run by
//! [`sdk`] (Node) and [`python`].
#![expect(clippy::panic, clippy::indexing_slicing, reason = "a harness fails by panicking; JSON is read by indexing")]

pub mod between;
pub mod client;
pub mod clients;
pub mod commands;
pub mod database;
pub mod document;
pub mod faults;
pub mod gateway;
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
pub mod terminal;
pub mod upstream;
pub mod vitals;
pub mod wait;
pub mod wire;

pub use between::Between;
pub use client::{Answer, Call, Exchange};
pub use document::Document;
pub use gateway::{Account, Gateway};
pub use mock::Mock;
pub use recorder::Recorder;
pub use redis::Redis;
pub use setup::Setup;
pub use upstream::{Nobody, Turn, Upstream};
pub use vitals::Vitals;
pub use wait::{Canary, at_once, eventually, eventually_within, timed};
pub use wire::{Head, Piece, Wire};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// A JSON text that must be one.
#[must_use]
#[track_caller]
pub fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => panic!("no text: {value}"),
    }
}

/// SHA-256 in lowercase hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether `text` is a UUID of version 7 in its usual spelling.
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

/// Every key (`PREFIX_` and 32 hex digits) in `text`, in order, each once.
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
