//! One call upstream: a connection, the request, the head of the answer.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use access::Refusal;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use crate::admit;
use crate::answer::Problem;
use crate::body::{Failed, Progress, Upload};
use crate::exchange::Exchange;
use crate::upstream::connect::{ConnectError, connect};
use crate::upstream::pool::{Link, Pool};

/// What goes upstream.
pub(crate) struct Outgoing {
    pub(crate) request: Request<Upload>,
    pub(crate) progress: Rc<Progress>,
    pub(crate) to: Destination,
    /// Whether it may be sent again after a reused connection closed without an answer (RFC 9110, 9.2.2).
    pub(crate) repeatable: bool,
}

/// Where it goes.
#[derive(Clone)]
pub(crate) struct Destination {
    /// The provider's or upstream's name.
    pub(crate) name: Arc<str>,
    pub(crate) pool: Rc<Pool>,
}

/// An upstream's answer, and the connection that it still holds.
pub(crate) struct Answered {
    pub(crate) response: Response<Incoming>,
    pub(crate) lease: Lease,
}

/// A connection in use; given back, it may serve again.
pub(crate) struct Lease {
    link: Link,
    pool: Rc<Pool>,
    progress: Rc<Progress>,
}

impl Lease {
    /// Whether the caller broke off its request's body.
    pub(crate) fn caller_broke_off(&self) -> bool {
        self.progress.failed() == Some(Failed::CallerGone)
    }

    /// The answer is whole. Kept is only a connection that also took the whole request: what an early answer leaves
    /// unsent would be read as the next request. Says whether it was kept.
    pub(crate) fn give_back(self, now: Instant) -> bool {
        let whole = self.progress.is_whole();
        if whole {
            self.pool.give_back(self.link, now);
        }
        whole
    }
}

enum Stopped {
    Late,
    CallerLate,
    Send(Box<hyper::client::conn::TrySendError<Request<Upload>>>),
}

/// Sends the request and waits for the head of its answer.
#[tracing::instrument(level = "debug", skip_all)]
pub(crate) async fn forward(exchange: &mut Exchange, outgoing: Outgoing) -> Result<Answered, Problem> {
    let Outgoing { mut request, progress, to, repeatable } = outgoing;
    exchange.toward(&to.name);
    let mut again = true;
    loop {
        let mut now = Instant::now();
        let idle = if again { to.pool.take(now).await } else { None };
        let mut link = match idle {
            Some(link) => link,
            None => {
                let link = dial(exchange, &to).await?;
                now = Instant::now();
                link
            }
        };
        let copy = (link.reused && repeatable && request.body().is_empty()).then(|| head_of(&request));
        progress.begin(now);
        exchange.sending(link.probe(), progress.clone(), now);
        match wait(exchange, &mut link, request, &progress).await {
            // Nobody asked for another protocol: `Upgrade` is not forwarded.
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                return Err(Problem::new(Refusal::UpstreamProtocol, "the upstream switched protocols unasked"));
            }
            Ok(response) if !admit::is_coded_plainly(response.headers()) => {
                return Err(Problem::new(Refusal::UpstreamProtocol, "the upstream used an unknown transfer coding"));
            }
            Ok(response) => {
                return Ok(Answered { response, lease: Lease { link, pool: to.pool, progress } });
            }
            Err(Stopped::Send(mut error)) => {
                let unsent = error.take_message();
                if again
                    && link.reused
                    && let Some(unsent) = unsent.or(copy)
                {
                    again = false;
                    request = unsent;
                    continue;
                }
                return Err(failed(&error.into_error(), &progress, exchange));
            }
            Err(Stopped::Late) => {
                return Err(Problem::new(Refusal::UpstreamTimeout, "the upstream did not answer in time"));
            }
            Err(Stopped::CallerLate) => {
                return Err(Problem::new(Refusal::RequestTimeout, "the request's body did not arrive in time"));
            }
        }
    }
}

async fn dial(exchange: &Exchange, to: &Destination) -> Result<Link, Problem> {
    let within = exchange.timeouts().connect;
    let refuse = |error: &ConnectError| {
        Problem::new(Refusal::UpstreamConnect, "the upstream cannot be reached; it received nothing").because(error)
    };
    match timeout(within, connect(exchange.worker(), &to.pool.origin, within)).await {
        Ok(result) => result.map_err(|error| refuse(&error)),
        Err(late) => {
            let message = "the upstream did not accept the connection in time; it received nothing";
            Err(Problem::new(Refusal::UpstreamConnect, message).because(&late))
        }
    }
}

/// Waits for the answer's head, for the caller's body, and for the deadlines.
async fn wait(
    exchange: &Exchange,
    link: &mut Link,
    request: Request<Upload>,
    progress: &Progress,
) -> Result<Response<Incoming>, Stopped> {
    let timeouts = exchange.timeouts();
    let (watch, total_at) = (exchange.watch(), exchange.total_at());
    let deadline = || {
        let patience = if progress.is_whole() { timeouts.first_byte } else { timeouts.idle };
        (progress.moved_at() + patience).min(total_at)
    };
    let mut send = pin!(link.sender.try_send_request(request));
    watch.wait_until(deadline());
    poll_fn(|cx| {
        if let Poll::Ready(result) = send.as_mut().poll(cx) {
            return Poll::Ready(result.map_err(|error| Stopped::Send(Box::new(error))));
        }
        if watch.take_late() {
            let next = deadline();
            if next <= Instant::now() {
                let stopped = if progress.caller_owes() { Stopped::CallerLate } else { Stopped::Late };
                return Poll::Ready(Err(stopped));
            }
            watch.wait_until(next);
        }
        Poll::Pending
    })
    .await
}

/// The same request once more; its body is empty.
fn head_of(request: &Request<Upload>) -> Request<Upload> {
    let (upload, _) = Upload::segments(std::iter::empty(), Instant::now());
    let mut copy = Request::new(upload);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

fn failed(error: &hyper::Error, progress: &Progress, exchange: &Exchange) -> Problem {
    match progress.failed() {
        Some(Failed::TooLarge) => return admit::too_large(exchange.snapshot.sizes.body_bytes_max),
        Some(Failed::CallerGone) => {
            return Problem::new(Refusal::BadRequest, "the request's body broke off").because(error).caller_gone();
        }
        None => {}
    }
    let (refusal, message) = if error.is_parse() {
        (Refusal::UpstreamProtocol, "the upstream answered something that is not HTTP")
    } else {
        (Refusal::UpstreamReset, "the upstream closed the connection before it answered")
    };
    Problem::new(refusal, message).because(error)
}
