//! Files of JSON lines.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use export::{EventFiles, EventTarget};
use serde_json::json;

use crate::spooled::{NODE, Spooled, ids, ids_of, names, parsed, sorted};

fn target(dir: &Path, file_bytes_max: u64, files_max: u32) -> EventTarget {
    EventTarget::Files(EventFiles::new(dir.to_owned(), file_bytes_max, files_max, NODE))
}

fn dir(spooled: &Spooled) -> PathBuf {
    spooled.folder().path().join("files")
}

fn lines(dir: &Path) -> String {
    names(dir).iter().map(|name| fs::read_to_string(dir.join(name)).unwrap()).collect()
}

#[tokio::test]
async fn rows_have_the_documented_fields() {
    let mut spooled = Spooled::new();
    let dir = dir(&spooled);
    let mut job = spooled.start(target(&dir, 1 << 20, 9));
    spooled.append(1..10);
    job.drain().await.unwrap();
    assert_eq!(names(&dir), ["events-2026-11-26-deadbeef-000001.jsonl"]);
    let text = lines(&dir);
    let rows: Vec<_> = text.lines().map(parsed).collect();
    assert_eq!(
        rows[0],
        json!({
            "schema": 1, "id": "0199aa00-0000-7000-8000-000000000001", "kind": "request", "node": NODE,
            "started_at": "2026-11-26T09:59:59.000001Z", "day": "2026-11-26", "subject": "key",
            "user": "00000000-0000-0000-0000-000000000001", "key": "00000000-0000-0000-0000-000000000064",
            "plan": "0199aa00-0000-7000-8000-000000000007", "issuer": null, "name": null, "route": "chat",
            "labels": {"team": "payments"}, "requests": 1, "counted_requests": 1, "credits": 2, "result": "succeeded",
            "status_class": 2, "status": 200, "outcome": "completed", "code": null, "format": "chat",
            "model": "fast \"quoted\"\n", "provider": "openai", "provider_model": "gpt-5-mini", "attempts": 2,
            "streamed": true, "request_bytes": 128, "response_bytes": 256, "duration_us": 1_100, "first_byte_us": null,
            "charged_tokens": 10, "charged_nano_usd": 41, "cost_nano_usd": 41, "cost_unknown": "no_usage",
            "input_tokens": 7, "output_tokens": 3, "trace_id": null,
        })
    );
    let sent = &rows[8];
    let refused = &rows[9];
    assert_eq!(
        *sent,
        json!({
            "schema": 1, "id": "0199aa00-0000-7000-8000-000000000009-0", "kind": "count", "node": NODE,
            "started_at": "2024-10-04T00:00:00.000000Z", "day": "2024-10-04", "subject": "anonymous", "user": null,
            "key": null, "plan": null, "issuer": null, "name": null, "route": "users", "labels": {}, "requests": 5,
            "counted_requests": 5, "credits": 10, "result": "succeeded", "status_class": 2,
        })
    );
    for (field, value) in [("requests", json!(5)), ("counted_requests", json!(0)), ("result", json!("refused"))] {
        assert_eq!(refused[field], value, "{field}");
    }
    assert!(!text.contains("secret"), "the provider's usage object is not exported");
    assert_eq!(spooled.lookups.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn ids_are_looked_up_once_and_a_deleted_user_has_none() {
    let mut spooled = Spooled::new();
    let dir = dir(&spooled);
    let mut job = spooled.start(target(&dir, 1 << 20, 9));
    for from in [0, 100, 200] {
        spooled.append(from..from + 40);
        job.drain().await.unwrap();
    }
    assert_eq!(spooled.lookups.load(Ordering::Relaxed), 1);
    let text = lines(&dir);
    let deleted: Vec<_> =
        text.lines().map(parsed).filter(|row| !row["key"].is_null() && row["user"].is_null()).collect();
    assert!(!deleted.is_empty() && deleted.iter().all(|row| row["kind"] == "count"), "{deleted:?}");
}

#[tokio::test]
async fn a_restart_continues_and_repeats_only_rows_with_the_same_ids() {
    let mut spooled = Spooled::new();
    let dir = dir(&spooled);
    let mut job = spooled.start(target(&dir, 1 << 20, 9));
    spooled.append(0..300);
    job.drain().await.unwrap();
    spooled.append(300..500);
    spooled.ingest();
    drop(job);
    // The process was killed while it wrote a line.
    let file = dir.join("events-2026-11-26-deadbeef-000001.jsonl");
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{whole}{{\"schema\":1,\"id\":\"0199")).unwrap();
    let mut job = spooled.start(target(&dir, 1 << 20, 9));
    spooled.append(500..600);
    job.drain().await.unwrap();
    assert_eq!(ids_of(&lines(&dir)), ids(0..600));
    // Without the position, rows come again, and no row is missing.
    fs::remove_file(spooled.folder().path().join("export/positions")).unwrap();
    let mut job = spooled.start(target(&dir, 1 << 20, 9));
    job.drain().await.unwrap();
    let mut all = sorted(ids_of(&lines(&dir)));
    assert!(all.len() > ids(0..600).len());
    all.dedup();
    assert_eq!(all, sorted(ids(0..600)));
}

#[tokio::test]
async fn files_end_at_a_size_and_with_the_day_and_the_oldest_are_removed() {
    let mut spooled = Spooled::new();
    let dir = dir(&spooled);
    let mut job = spooled.start(target(&dir, 20_000, 4));
    for from in (0..200).step_by(20) {
        spooled.append(from..from + 20);
        job.drain().await.unwrap();
    }
    let of_day = |number| format!("events-2026-11-26-deadbeef-{number:06}.jsonl");
    let kept = names(&dir);
    assert_eq!(kept.len(), 4);
    assert!(!kept.contains(&of_day(1)), "{kept:?}");
    assert!(kept.iter().all(|name| fs::metadata(dir.join(name)).unwrap().len() < 40_000));
    let newest = ids_of(&lines(&dir));
    assert_eq!(newest, ids(0..200)[ids(0..200).len() - newest.len()..]);
    spooled.clock.advance(Duration::from_hours(24));
    spooled.append(200..210);
    job.drain().await.unwrap();
    let next_day = "events-2026-11-27-deadbeef-000001.jsonl";
    assert_eq!(ids_of(&fs::read_to_string(dir.join(next_day)).unwrap()), ids(200..210));
    // A start continues the file of the day.
    let mut job = spooled.start(target(&dir, 20_000, 4));
    spooled.append(210..215);
    job.drain().await.unwrap();
    assert_eq!(ids_of(&fs::read_to_string(dir.join(next_day)).unwrap()), ids(200..215));
}

#[tokio::test]
async fn a_folder_that_takes_nothing_is_bounded_and_later_gets_the_newest_rows() {
    let mut spooled = Spooled::new();
    let dir = dir(&spooled);
    // A file is where the folder should be.
    fs::write(&dir, "").unwrap();
    spooled.size_bytes_max = 64 * 1024;
    let mut job = spooled.start(target(&dir, 1 << 20, 9));
    let stats = job.stats();
    for from in (0..2_000).step_by(100) {
        spooled.append(from..from + 100);
        let error = job.drain().await.unwrap_err();
        assert!(error.to_string().starts_with("the export cannot create"), "{error}");
        spooled.ingest();
        assert!(spooled.waiting_bytes() <= 64 * 1024 + 100);
    }
    fs::remove_file(&dir).unwrap();
    // A batch whose segments are gone is given up.
    let _ = job.drain().await;
    job.drain().await.unwrap();
    let all = ids(0..2_000);
    let kept = ids_of(&lines(&dir));
    assert!(kept.len() > 100 && kept.len() < all.len());
    assert_eq!(kept, all[all.len() - kept.len()..], "the newest rows remain");
    assert_eq!(stats.failures.load(Ordering::Relaxed), 20);
    assert_eq!(stats.rows.load(Ordering::Relaxed), kept.len() as u64);
}
