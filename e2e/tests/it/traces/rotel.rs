//! `rotel`, a receiver of OTLP that shares no code with Tollgate and its tests, prints the spans that it has read.

use std::fs::{File, read_to_string};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use e2e::redis::free_port;
use e2e::tools::{HOW, tools};
use e2e::{eventually, wait::eventually_within};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::receiver::ShownSpan;

/// The time in which the receiver accepts connections.
const READY: std::time::Duration = std::time::Duration::from_secs(30);

/// A receiver; dropped, it ends.
pub(super) struct Rotel {
    pub(super) address: SocketAddr,
    folder: TempDir,
    _child: Child,
}

impl Rotel {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [http, grpc] = [(); 2].map(|()| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port().unwrap())));
        let program = tools().join("rotel/rotel/rotel-agent");
        let mut command = Command::new(&program);
        command.args(["start", "--exporter", "blackhole", "--debug-log", "traces"]);
        command.args(["--debug-log-verbosity", "detailed"]).env_clear().current_dir(folder.path());
        command.args(["--otlp-http-endpoint", &http.to_string(), "--otlp-grpc-endpoint", &grpc.to_string()]);
        command.stdin(Stdio::null()).stdout(File::create(folder.path().join("log")).unwrap());
        command.stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}: {HOW}", program.display()));
        eventually_within(READY, "rotel accepts connections", async || TcpStream::connect(http).await.ok()).await;
        Self { address: http, folder, _child: child }
    }

    /// Waits for this number of spans of a trace.
    pub(super) async fn spans_of(&self, trace_id: &str, number: usize) -> Vec<ShownSpan> {
        eventually("rotel prints the spans of the trace", async || {
            let log = read_to_string(self.folder.path().join("log")).unwrap();
            let spans: Vec<ShownSpan> = spans(&log).into_iter().filter(|span| span.trace_id == trace_id).collect();
            (spans.len() >= number).then_some(spans)
        })
        .await
    }
}

/// Returns the spans of a log, without those whose last line may be missing.
fn spans(log: &str) -> Vec<ShownSpan> {
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let mut spans: Vec<ShownSpan> = Vec::new();
    for line in whole.lines() {
        if line.starts_with("Span #") {
            spans.push(ShownSpan::default());
            continue;
        }
        let Some(span) = spans.last_mut() else { continue };
        if let Some((key, value)) = line.trim_start().strip_prefix("-> ").and_then(|line| line.split_once(": ")) {
            // A value is printed with its type, as in `Str(GET)`.
            let value = value.split_once('(').and_then(|(_, value)| value.strip_suffix(')'));
            span.attributes.insert(key.to_owned(), value.unwrap_or_default().to_owned());
        } else if let Some((name, value)) = line.split_once(':') {
            let value = value.trim();
            match name.trim() {
                "Trace ID" => value.clone_into(&mut span.trace_id),
                "Parent ID" => value.clone_into(&mut span.parent),
                "ID" => value.clone_into(&mut span.id),
                "Name" => value.clone_into(&mut span.name),
                "Kind" => span.kind = kind(value),
                "Start time" => span.start = value.parse().unwrap(),
                "End time" => span.end = value.parse().unwrap(),
                "Status code" => span.is_error = value == "STATUS_CODE_ERROR",
                _ => {}
            }
        }
    }
    spans
}

/// Returns the number of a kind (OTLP, `Span.SpanKind`).
fn kind(name: &str) -> u64 {
    ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT"]
        .iter()
        .position(|known| name.strip_prefix("SPAN_KIND_") == Some(known))
        .map_or(u64::MAX, |number| u64::try_from(number).unwrap())
}
