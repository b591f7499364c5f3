//! Requests at a fixed rate, whether or not earlier ones have a response. The latency of each begins at the time at which it was
//! due, so a slow response delays no measurement. A separate thread sends them with a precision of some microseconds, which
//! timers of Tokio do not have.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
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

/// The latencies of all requests, and the longest time that a request was sent after it was due.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenLoopRun {
    pub(crate) waits: Spread,
    pub(crate) requests: u64,
    pub(crate) late_max: Duration,
}

/// A connection, with the due time of its request.
struct Lane {
    stream: TcpStream,
    due: Option<Instant>,
    received: Vec<u8>,
}

/// The state of a running load.
struct Lanes {
    lanes: Vec<Lane>,
    /// The connections without a request, those that were idle for the longest time first.
    idle: VecDeque<usize>,
    waits: Vec<Duration>,
    late_max: Duration,
}

impl OpenLoop {
    /// Sends all requests from a separate thread. Any response except 2xx with a `Content-Length` is an error.
    pub(crate) async fn run(self) -> anyhow::Result<OpenLoopRun> {
        tokio::task::spawn_blocking(move || self.send_all()).await?
    }

    fn send_all(&self) -> anyhow::Result<OpenLoopRun> {
        set_current_timer_slack(TIMER_SLACK_NANOS)?;
        let requests = u64::from(self.requests_per_second) * self.duration.as_secs();
        let mut lanes = Lanes::connect(self.address, self.connections)?;
        let begins = Instant::now();
        let due = |nth: u64| begins + Duration::from_nanos(nth * 1_000_000_000 / u64::from(self.requests_per_second));
        let (mut sent, ends) = (0, due(requests) + PATIENCE);
        let mut next = self.requests.iter().cycle().peekable();
        while u64::try_from(lanes.waits.len())? < requests {
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
        Ok(OpenLoopRun { waits: Spread::of(lanes.waits), requests, late_max: lanes.late_max })
    }
}

impl Lanes {
    fn connect(address: SocketAddr, connections: u32) -> anyhow::Result<Self> {
        let lane = |_| {
            let stream = TcpStream::connect(address).with_context(|| address.to_string())?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok(Lane { stream, due: None, received: Vec::new() })
        };
        let lanes = (0..connections).map(lane).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self { idle: (0..lanes.len()).collect(), lanes, waits: Vec::new(), late_max: Duration::ZERO })
    }

    /// Sends a request on an idle connection. Returns `false` if none is idle.
    fn send(&mut self, request: &str, due: Instant) -> anyhow::Result<bool> {
        let Some(at) = self.idle.pop_front() else { return Ok(false) };
        let lane = self.lanes.get_mut(at).context("internal error: no such connection")?;
        // The kernel's buffer is empty, so it takes the request as a whole.
        let written = lane.stream.write(request.as_bytes())?;
        ensure!(written == request.len(), "the connection took {written} bytes of a request");
        lane.due = Some(due);
        self.late_max = self.late_max.max(due.elapsed());
        Ok(true)
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
            if let Some(wait) = lane.read()? {
                self.waits.push(wait);
                self.idle.push_back(at);
            }
        }
        Ok(())
    }
}

impl Lane {
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

    /// A server of one connection, whose first response takes [`STALL`].
    async fn stalled(response: &'static str) -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, mut tasks) = (listener.local_addr().unwrap(), JoinSet::new());
        tasks.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut buffer, mut wait) = ([0; 1_024], STALL);
            while stream.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {
                sleep(std::mem::take(&mut wait)).await;
                stream.write_all(response.as_bytes()).await.unwrap();
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
        assert_eq!(run.requests, 100);
        // The first request takes the whole time, and the ones that are due 10, 20, … ms later take the rest of it.
        let longest = |percent| run.waits.percentile(percent);
        assert!(longest(100) >= STALL && longest(99) >= STALL - Duration::from_millis(10), "{}", run.waits);
        assert!(longest(91) >= STALL - Duration::from_millis(90), "{}", run.waits);
        assert!(run.late_max >= STALL - Duration::from_millis(10), "{:?}", run.late_max);
    }

    #[tokio::test]
    async fn an_error_response_ends_the_load() {
        let (address, _server) = stalled("HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n").await;
        assert!(load(address).run().await.unwrap_err().to_string().contains("503"));
    }
}
