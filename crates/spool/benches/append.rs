//! Cost of the spool: `cargo bench -p spool`, with an optional word after `--`:
//!
//! - `replay [EVENTS]`: duration of a start with that many requests, opened and closed (1,000,000)
//! - `stalls [SECONDS]`: duration of an append while another process keeps the disk busy (20)

#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::{Clock, Credits, Day, KeyNo, NanoUsd, PlanId, RequestId, Subject, Timestamp, Tokens, UserNo};
use meter::{Attempt, Caller, Charge, Outcome, Source, Usage, UsageEvent};
use spool::{OpenRequest, Record, Spool, SpoolOpener, SpoolOptions, Writer};
use uuid::Uuid;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const APPENDS: u32 = 500_000;
const REPLAYED: u32 = 1_000_000;
const STALL_SECONDS: u32 = 20;
/// Open requests of a partition.
const IN_FLIGHT: u32 = 500;
/// Requests per second in the paced benchmark.
const PACE: u32 = 2_000;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let number = |default: u32| words.get(1).map_or(Ok(default), |word| word.parse());
    match words.first().map(String::as_str) {
        Some("replay") => replay(number(REPLAYED)?),
        Some("stalls") => stalls(number(STALL_SECONDS)?),
        Some("saturate") => {
            let seconds = words.get(2).ok_or("seconds")?.parse()?;
            saturate(Path::new(words.get(1).ok_or("a folder")?), Duration::from_secs(seconds))
        }
        _ => append().and_then(|()| open_and_close()),
    }
}

fn append() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut spool = Spool::open(dir.path(), SpoolOptions::new(1 << 30, 1), &[])?;
    let writer = spool.writers.first_mut().ok_or("one partition has one writer")?;
    let record = Record::Event(event(1));
    let clock = Clock::system();
    let mut slowest_nanos = 0;
    let began = clock.mono();
    for _ in 0..APPENDS {
        let before = clock.mono();
        if writer.has_room() {
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

    let mut read = 0;
    let began = clock.mono();
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

/// Opens and closes of requests, with other requests open.
fn open_and_close() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut spool = Spool::open(dir.path(), SpoolOptions::new(1 << 30, 1), &[])?;
    let writer = spool.writers.first_mut().ok_or("one partition has one writer")?;
    let clock = Clock::system();
    let mut open = Record::Open(opened(0));
    let mut close = Record::Close(event(0));
    let began = clock.mono();
    let cpu = cpu_nanos()?;
    for n in 0..APPENDS {
        both(writer, n, &mut open, &mut close)?;
    }
    let cpu = cpu_nanos()? - cpu;
    let wall = clock.mono().since(began).as_nanos();
    println!(
        "open and close, {IN_FLIGHT} open: {} ns of CPU a request, {} ns in all",
        cpu / u64::from(APPENDS),
        wall / u128::from(APPENDS)
    );
    Ok(())
}

/// Opens the `n`-th request and closes an earlier one.
fn both(writer: &mut Writer, n: u32, open: &mut Record, close: &mut Record) -> Result<()> {
    if let Record::Open(opened) = open {
        opened.id = id(n);
    }
    writer.append(open)?;
    if let Some(first) = n.checked_sub(IN_FLIGHT)
        && let Record::Close(event) = &mut *close
    {
        event.id = id(first);
        writer.append(close)?;
    }
    Ok(())
}

fn replay(events: u32) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let options = SpoolOptions::new(32 << 30, 2);
    let mut spool = Spool::open(dir.path(), options, &[])?;
    let mut open = Record::Open(opened(0));
    let mut close = Record::Close(event(0));
    for n in 0..events / 2 {
        for writer in &mut spool.writers {
            both(writer, n, &mut open, &mut close)?;
        }
    }
    let bytes = spool.reader.depth()?.bytes;
    drop(spool);
    let records = AtomicU64::new(0);
    let credits = AtomicU64::new(0);
    let visit = |record: &Record| {
        records.fetch_add(1, Ordering::Relaxed);
        if let Record::Close(event) = record {
            credits.fetch_add(event.charge.credits.0, Ordering::Relaxed);
        }
    };
    let clock = Clock::system();
    let began = clock.mono();
    let cpu = cpu_ticks()?;
    let spool = SpoolOpener { visit: Some(&visit), ..SpoolOpener::new(dir.path(), options, &[]) }.open()?;
    println!(
        "replay: {events} events ({} records, {} MB, 2 partitions) in {} ms, {} ms of CPU; {} credits, {} interrupted",
        records.into_inner(),
        bytes / 1_000_000,
        clock.mono().since(began).as_millis(),
        (cpu_ticks()? - cpu) * 10,
        credits.into_inner(),
        spool.interrupted.len()
    );
    Ok(())
}

fn stalls(seconds: u32) -> Result<()> {
    // The target folder is on a disk; a folder in memory could not be slow.
    let dir = tempfile::tempdir_in(std::env::current_exe()?.parent().ok_or("a folder")?)?;
    measure_stalls(dir.path(), seconds, "alone")?;
    let busy: Vec<Child> = (0..3)
        .map(|_| {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("saturate").arg(dir.path()).arg((seconds + 60).to_string()).spawn()
        })
        .collect::<std::io::Result<_>>()?;
    let done = measure_stalls(dir.path(), seconds, "with three processes that write and sync");
    for mut child in busy {
        child.kill()?;
        child.wait()?;
    }
    done
}

fn measure_stalls(dir: &Path, seconds: u32, beside: &str) -> Result<()> {
    let dir = dir.join("spool");
    let mut spool = Spool::open(&dir, SpoolOptions::new(1 << 30, 1), &[])?;
    let writer = spool.writers.first_mut().ok_or("one partition has one writer")?;
    let clock = Clock::system();
    let mut open = Record::Open(opened(0));
    let mut close = Record::Close(event(0));
    let mut took = Vec::new();
    let began = clock.mono();
    for n in 0..seconds * PACE {
        while clock.mono().since(began) < Duration::from_secs(1) * n / PACE {
            std::thread::park_timeout(Duration::from_micros(100));
        }
        let before = clock.mono();
        both(writer, n, &mut open, &mut close)?;
        took.push(clock.mono().since(before).as_micros());
    }
    took.sort_unstable();
    let at =
        |thousandths: usize| took.get((took.len() * thousandths / 1_000).min(took.len() - 1)).copied().unwrap_or(0);
    println!(
        "{PACE} opens and closes a second, {beside}: median {} us, p99 {} us, p99.9 {} us, slowest {} us",
        at(500),
        at(990),
        at(999),
        at(1_000)
    );
    drop(spool);
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

/// Writes and syncs the same 64 MiB repeatedly, until it is killed or the time is over.
fn saturate(dir: &Path, at_most: Duration) -> Result<()> {
    use std::os::unix::fs::FileExt;
    let file = tempfile::tempfile_in(dir)?;
    let block = vec![0x5a; 1 << 20];
    let clock = Clock::system();
    let began = clock.mono();
    while clock.mono().since(began) < at_most {
        for n in 0..64 {
            file.write_all_at(&block, n << 20)?;
        }
        file.sync_data()?;
    }
    Ok(())
}

/// Processor time of this thread.
fn cpu_nanos() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(stat.split_whitespace().next().ok_or("schedstat is empty")?.parse()?)
}

/// Processor time of this process in hundredths of a second (`utime` and `stime` of proc_pid_stat(5)).
fn cpu_ticks() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in stat")?;
    let mut times = fields.split_whitespace().skip(11).take(2);
    times.try_fold(0, |sum, ticks| Ok(sum + ticks.parse::<u64>()?))
}

fn id(n: u32) -> RequestId {
    RequestId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(n)))
}

/// Usage in the form of OpenAI's Chat Completions.
const RAW_USAGE: &str = r#"{"prompt_tokens":812,"completion_tokens":154,"total_tokens":966,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}"#;

fn opened(n: u32) -> OpenRequest {
    let UsageEvent { id, subject, started_at, day, charge, route, format, model, .. } = event(n);
    OpenRequest {
        id,
        subject,
        started_at,
        day,
        windows: Vec::new(),
        reserved: Charge { credits: charge.credits, tokens: Tokens(4_096), ..Charge::money(NanoUsd(41_000_000)) },
        route,
        format,
        model,
        price_version: Some(Arc::from("2025-11-01")),
        origin: meter::RequestOrigin::default(),
    }
}

fn event(n: u32) -> UsageEvent {
    let mut usage = Usage::empty(Source::Reported);
    (usage.input, usage.output) = (Some(Tokens(812)), Some(Tokens(154)));
    UsageEvent {
        id: id(n),
        subject: Subject::Key(Caller { user: UserNo(17), key: KeyNo(23), plan: PlanId::NIL }),
        started_at: Timestamp(1_760_000_000_000_000),
        day: Day(20_370),
        windows: Vec::new(),
        charge: Charge::credits(Credits::whole(1)),
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
            raw_usage: Some(Arc::from(RAW_USAGE)),
            cost: Some(NanoUsd(511_000)),
            unknown: None,
            price_version: Some(Arc::from("2025-11-01")),
            own_credential: false,
            first_byte_us: Some(300_000),
            duration_us: 1_490_000,
        }],
        refusal: None,
        origin: meter::RequestOrigin::default(),
    }
}
