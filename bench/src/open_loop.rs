//! Requests at a fixed rate, whether or not earlier ones have a response. The latency of each begins at the time at which it was
//! due, so a slow response delays no measurement. A separate thread sends them with a precision of some microseconds, which
//! timers of Tokio do not have.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::set_current_timer_slack;
use tokio::time::Instant;

use crate::client::complete;
use crate::stats::Spread;

/// The maximum time after the last due request.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest wait without a check of [`PATIENCE`].
const WAIT_MAX: Duration = Duration::from_secs(1);
/// The kernel may delay a timer by this time. The default is 50 µs.
const TIMER_SLACK_NANOS: Option<NonZeroU64> = NonZeroU64::new(1);
const RESPONSE_BYTES_MAX: usize = 64 << 10;

/// The target, rate and duration of the load, and its number of connections. All of them may have a request in flight.
#[derive(Debug, Clone)]
pub(crate) struct OpenLoop {
    pub(crate) address: SocketAddr,
    /// The requests, which are sent in turn.
    pub(crate) requests: Vec<String>,
    pub(crate) requests_per_second: u32,
    pub(crate) duration: Duration,
    pub(crate) connections: u32,
}

/// The latencies of the requests with a response, and the longest time that a request was sent after it was due.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenLoopRun {
    pub(crate) waits: Spread,
    pub(crate) requests: u64,
    pub(crate) late_max: Duration,
    /// The number of requests without a response of 2xx.
    pub(crate) failed: u64,
    /// The error of the first of them.
    pub(crate) first_failure: Option<String>,
}

/// A connection, with the due time of its request.
struct Lane {
    stream: TcpStream,
    due: Option<Instant>,
    received: Vec<u8>,
}

/// The state of a running load.
struct Lanes {
    address: SocketAddr,
    lanes: Vec<Lane>,
    /// The connections without a request, those that were idle for the longest time first.
    idle: VecDeque<usize>,
    waits: Vec<Duration>,
    late_max: Duration,
    failed: u64,
    first_failure: Option<String>,
}

impl OpenLoop {
    /// Sends all requests from a separate thread. With any response except 2xx with a `Content-Length`, a request fails.
    pub(crate) async fn run(self) -> anyhow::Result<OpenLoopRun> {
        tokio::task::spawn_blocking(move || self.send_all()).await?
    }

    fn send_all(&self) -> anyhow::Result<OpenLoopRun> {
        set_current_timer_slack(TIMER_SLACK_NANOS)?;
        let requests = u64::from(self.requests_per_second) * self.duration.as_secs();
        let mut lanes = Lanes::connect(self.address, self.connections)?;
        let begins = Instant::now();
        let due = |nth: u64| begins + Duration::from_nanos(nth * 1_000_000_000 / u64::from(self.requests_per_second));
        let mut sent = 0;
        let ends = due(requests) + PATIENCE;
        let mut next = self.requests.iter().cycle().peekable();
        while u64::try_from(lanes.waits.len())? + lanes.failed < requests {
            let now = Instant::now();
            ensure!(now < ends, "{} of {requests} requests have a response", lanes.waits.len());
            while sent < requests && due(sent) <= now && lanes.send(next.peek().context("no request")?, due(sent))? {
                sent += 1;
                next.next();
            }
            let is_limited = sent == requests || lanes.idle.is_empty();
            let wait = if is_limited { WAIT_MAX } else { due(sent).saturating_duration_since(Instant::now()) };
            lanes.receive(wait.min(WAIT_MAX))?;
        }
        let Lanes { waits, late_max, failed, first_failure, .. } = lanes;
        Ok(OpenLoopRun { waits: Spread::from_durations(waits), requests, late_max, failed, first_failure })
    }
}

impl OpenLoopRun {
    /// Returns the run, or an error if a request failed.
    pub(crate) fn succeeded(self) -> anyhow::Result<Self> {
        match &self.first_failure {
            None => Ok(self),
            Some(failure) => bail!("{} of {} requests failed, the first with: {failure}", self.failed, self.requests),
        }
    }
}

impl Lanes {
    fn connect(address: SocketAddr, connections: u32) -> anyhow::Result<Self> {
        let lanes = (0..connections).map(|_| Lane::connect(address)).collect::<anyhow::Result<Vec<_>>>()?;
        let idle = (0..lanes.len()).collect();
        let waits = Vec::new();
        let late_max = Duration::ZERO;
        Ok(Self { address, lanes, idle, waits, late_max, failed: 0, first_failure: None })
    }

    /// Sends a request on an idle connection. Returns `false` if none is idle.
    fn send(&mut self, request: &str, due: Instant) -> anyhow::Result<bool> {
        let Some(at) = self.idle.pop_front() else { return Ok(false) };
        let lane = self.lanes.get_mut(at).context("internal error: no such connection")?;
        // The kernel's buffer is empty, so it takes the request as a whole.
        match lane.stream.write(request.as_bytes()) {
            Ok(written) if written == request.len() => lane.due = Some(due),
            Ok(written) => self.fail(at, &anyhow!("the connection took {written} bytes of a request"))?,
            Err(error) => self.fail(at, &error.into())?,
        }
        self.late_max = self.late_max.max(due.elapsed());
        Ok(true)
    }

    /// Counts a failed request, and replaces its connection.
    fn fail(&mut self, at: usize, error: &anyhow::Error) -> anyhow::Result<()> {
        self.failed += 1;
        self.first_failure.get_or_insert_with(|| format!("{error:#}"));
        *self.lanes.get_mut(at).context("internal error: no such connection")? = Lane::connect(self.address)?;
        self.idle.push_back(at);
        Ok(())
    }

    /// Waits for responses for at most `wait`, and reads those that have arrived.
    fn receive(&mut self, wait: Duration) -> anyhow::Result<()> {
        let busy: Vec<usize> =
            (0..self.lanes.len()).filter(|at| self.lanes.get(*at).is_some_and(|lane| lane.due.is_some())).collect();
        let lanes = busy.iter().filter_map(|at| self.lanes.get(*at));
        let mut polled: Vec<PollFd<'_>> = lanes.map(|lane| PollFd::new(&lane.stream, PollFlags::IN)).collect();
        let timeout = Timespec::try_from(wait)?;
        match poll(&mut polled, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<usize> =
            busy.iter().zip(&polled).filter(|(_, fd)| !fd.revents().is_empty()).map(|(at, _)| *at).collect();
        for at in ready {
            let lane = self.lanes.get_mut(at).context("internal error: no such connection")?;
            match lane.read() {
                Ok(None) => {}
                Ok(Some(wait)) => {
                    self.waits.push(wait);
                    self.idle.push_back(at);
                }
                Err(error) => self.fail(at, &error)?,
            }
        }
        Ok(())
    }
}

impl Lane {
    fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| address.to_string())?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, due: None, received: Vec::new() })
    }

    /// Reads the bytes that have arrived. Returns the latency if the response is complete.
    fn read(&mut self) -> anyhow::Result<Option<Duration>> {
        let mut buffer = [0; 4_096];
        match self.stream.read(&mut buffer) {
            Ok(0) => bail!("the connection closed in a response: {:?}", String::from_utf8_lossy(&self.received)),
            Ok(bytes) => self.received.extend_from_slice(buffer.get(..bytes).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let arrived = Instant::now();
        ensure!(self.received.len() < RESPONSE_BYTES_MAX, "the response exceeds {RESPONSE_BYTES_MAX} bytes");
        if !complete(&self.received)? {
            return Ok(None);
        }
        self.received.clear();
        Ok(self.due.take().map(|due| arrived.saturating_duration_since(due)))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;

    const STALL: Duration = Duration::from_millis(200);

    /// A server of one connection at a time, whose first response takes [`STALL`].
    async fn stalled(response: &'static str) -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut buffer = [0; 1_024];
            let mut wait = STALL;
            while let Ok((mut stream, _)) = listener.accept().await {
                while stream.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {
                    sleep(std::mem::take(&mut wait)).await;
                    stream.write_all(response.as_bytes()).await.unwrap();
                }
            }
        });
        (address, tasks)
    }

    fn load(address: SocketAddr) -> OpenLoop {
        let requests = vec![String::from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")];
        OpenLoop { address, requests, requests_per_second: 100, duration: Duration::from_secs(1), connections: 1 }
    }

    #[tokio::test]
    async fn requests_that_wait_for_a_slow_response_count_from_their_due_time() {
        let (address, _server) = stalled("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        let run = load(address).run().await.unwrap();
        let run = run.succeeded().unwrap();
        assert_eq!((run.requests, run.failed), (100, 0));
        // The first request takes the whole time, and the ones that are due 10, 20, … ms later take the rest of it.
        let longest = |percent| run.waits.percentile(percent);
        assert!(longest(100) >= STALL && longest(99) >= STALL - Duration::from_millis(10), "{}", run.waits);
        assert!(longest(91) >= STALL - Duration::from_millis(90), "{}", run.waits);
        assert!(run.late_max >= STALL - Duration::from_millis(10), "{:?}", run.late_max);
    }

    #[tokio::test]
    async fn error_responses_are_counted_and_have_no_latency() {
        let (address, _server) = stalled("HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n").await;
        let run = load(address).run().await.unwrap();
        assert_eq!((run.requests, run.failed, run.waits.percentile(100)), (100, 100, Duration::ZERO));
        assert!(run.succeeded().unwrap_err().to_string().contains("503"));
    }
}
