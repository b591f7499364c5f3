//! How long an append takes, and room(): `cargo bench -p spool`.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::sync::Arc;

use access::{Clock, Credits, Day, KeyNo, NanoUsd, RequestId, Timestamp, UserNo};
use meter::{Attempt, Caller, Outcome, Source, Usage, UsageEvent};
use spool::{Options, Record, Spool};
use uuid::Uuid;

const APPENDS: u32 = 500_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let mut spool = Spool::open(dir.path(), Options::new(1 << 30, 1), &[])?;
    let writer = spool.writers.first_mut().ok_or("one lane has one writer")?;
    let (record, clock) = (Record::Event(event()), Clock::system());
    let (mut slowest_nanos, began) = (0, clock.mono());
    for _ in 0..APPENDS {
        let before = clock.mono();
        if writer.room() {
            writer.append(&record)?;
        }
        slowest_nanos = slowest_nanos.max(clock.mono().since(before).as_nanos());
    }
    let nanos = clock.mono().since(began).as_nanos() / u128::from(APPENDS);
    let depth = spool.reader.depth()?;
    let bytes = depth.bytes / depth.records.max(1);
    println!(
        "append: {nanos} ns each, slowest {} us; {} records of {bytes} bytes",
        slowest_nanos / 1_000,
        depth.records
    );

    let (mut read, began) = (0, clock.mono());
    loop {
        let batch = spool.reader.next_batch(1_000)?;
        if batch.records.is_empty() {
            break;
        }
        read += batch.records.len();
        spool.reader.release(&batch)?;
    }
    println!("read and release: {} ns each", clock.mono().since(began).as_nanos() / read.max(1) as u128);
    Ok(())
}

fn event() -> UsageEvent {
    let mut usage = Usage::empty(Source::Reported);
    (usage.input, usage.output) = (Some(812), Some(154));
    UsageEvent {
        id: RequestId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001)),
        caller: Some(Caller { user: UserNo(17), key: KeyNo(23) }),
        started_at: Timestamp(1_760_000_000_000_000),
        day: Day(20_370),
        credits: Credits(1),
        route: Arc::from("chat"),
        format: Some(Arc::from("chat")),
        model: Some(Arc::from("fast")),
        streamed: true,
        status: 200,
        outcome: Outcome::Completed,
        request_bytes: 1_024,
        response_bytes: 4_096,
        duration_us: 1_500_000,
        attempts: vec![Attempt {
            provider: Arc::from("openai"),
            model: Some(Arc::from("gpt-5-mini")),
            answered_model: Some(Arc::from("gpt-5-mini-2025-08-07")),
            status: Some(200),
            upstream_id: Some(Arc::from("req_0123456789abcdef0123456789abcdef")),
            usage: Some(usage),
            cost: Some(NanoUsd(511_000)),
            price_version: Some(Arc::from("2025-11-01")),
            first_byte_us: Some(300_000),
            duration_us: 1_490_000,
        }],
    }
}
