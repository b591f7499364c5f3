//! Clocks that move, and a store that fails while an export is sent.

use std::io::Cursor;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{ada_and_bob, admin, date, time_at};
use crate::client::{bytes, get};
use crate::world::{NOON, World};

/// A timeout against hangs only.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_clock_that_jumps_back_changes_no_figure() {
    let world = World::start().await;
    let [ada, _] = ada_and_bob(&world).await;
    let bearer = ada.bearer();
    let see = async |path: &str| get(world.address, path, &[&bearer]).await;
    let figures =
        |brief: &Value| [&brief["spend"], &brief["movers"], &brief["classes"], &brief["errors"]].map(Value::clone);
    let before = see("/brief/today").await.json();
    assert_eq!(before["spend"]["cost"]["amount_nano"], 1_540);

    // Today is yesterday again. Its usage is known, and no later day has begun.
    world.clock.jump(time_at(1, 0));
    world.clock.advance(Duration::from_secs(6));
    let yesterday = see("/brief/today").await.json();
    assert_eq!((&yesterday["date"], &yesterday["complete"]), (&json!(date(1)), &json!(false)));
    assert_eq!(yesterday["spend"]["cost"]["amount_nano"], 900);
    see(&format!("/brief/{}", date(0))).await.refuses(404, "not_found");
    for path in ["/classify/today", "/roi/today", "/ingest/status"] {
        let today = see(path).await.json();
        assert_eq!((&today["date"], &today["complete"]), (&json!(date(1)), &json!(false)), "{path}: {today}");
    }

    world.clock.jump(NOON);
    world.clock.advance(Duration::from_secs(6));
    let after = see("/brief/today").await.json();
    assert_eq!((&after["id"], &after["figures_version"]), (&before["id"], &before["figures_version"]));
    assert_eq!(figures(&after), figures(&before));
}

/// Sends a request, and returns the head and the body as it was transferred.
async fn transferred(world: &World, path: &str, credential: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n{credential}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    // A reset ends the response as well.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut read)).await.expect("the connection ends");
    let end = read.windows(4).position(|part| part == b"\r\n\r\n").unwrap() + 4;
    let body = read.split_off(end);
    (String::from_utf8(read).unwrap(), body)
}

#[tokio::test]
async fn an_export_whose_store_fails_while_it_is_sent_is_cut_and_not_valid() {
    const EXPORT: &str = "/export/today";
    let world = World::start().await;
    ada_and_bob(&world).await;
    let root = admin(&world).await;
    let whole = bytes(world.address, EXPORT, &root).await;
    evidence::verify(&mut Cursor::new(&whole), None).unwrap();

    let mut tx = world.store.begin().await.unwrap();
    tx.query(include_str!("renamed_column.sql")).run().await.unwrap();
    tx.commit().await.unwrap();
    // The brief does not read this column, so the zip begins. Its end is missing, and so is the end of the body.
    let (head, body) = transferred(&world, EXPORT, &root).await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("transfer-encoding: chunked"), "{head}");
    assert!(body.windows(10).any(|part| part == b"brief.json"), "{} bytes", body.len());
    assert!(!body.ends_with(b"0\r\n\r\n"), "the last chunk would report the end of the zip");
    let cut = bytes(world.address, EXPORT, &root).await;
    assert!(cut.starts_with(b"PK") && cut.len() < whole.len(), "{} of {} bytes", cut.len(), whole.len());
    evidence::verify(&mut Cursor::new(&cut), None).unwrap_err();
    // Other requests have their responses.
    assert_eq!(get(world.address, "/classify/today", &[&root]).await.status, 200);
}
