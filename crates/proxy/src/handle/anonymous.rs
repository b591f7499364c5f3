//! Requests whose clients are not identified: each counts for the address of its client, so that one address cannot use
//! the permits of all requests.
//!
//! A request that waits before its client is known counts among the unidentified ones of its address, and a request
//! without a credential among the anonymous ones. Neither reduces what the other may use, so requests without a credential
//! do not keep the clients of their address with credentials out. Requests with invalid credentials can, while these are
//! checked, unless the worker has cached the client's own.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::Poll;

use access::{Refusal, Subject};
use http::{HeaderValue, header};

use crate::account::RequestAccount;
use crate::account::client_context::ConnectionContext;
use crate::capacity::AddressBound;
use crate::refusal::phase::Phase;
use crate::refusal::problem::Problem;

/// Polls the phases that identify the client. While they wait, the request counts for the address of its client. The phases are
/// pinned by the caller, because their future is large.
pub(crate) async fn identified<T>(
    mut phases: Pin<&mut impl Future<Output = Phase<T>>>,
    at: &ConnectionContext,
    address: impl Fn() -> IpAddr,
) -> Phase<T> {
    let mut permit = None;
    poll_fn(|cx| {
        let polled = phases.as_mut().poll(cx);
        if polled.is_pending() && permit.is_none() {
            match at.worker.shared.capacity.identify(address()) {
                Ok(waiting) => permit = Some(waiting),
                Err(bound) => return Poll::Ready(Err(refused(bound, "whose credentials are being checked").into())),
            }
        }
        polled
    })
    .await
}

/// Counts a request without a credential for the address of its client.
pub(crate) fn enter(account: &mut RequestAccount) -> Result<(), Problem> {
    let known = if let Subject::Anonymous { address } = &account.identity.subject { *address } else { None };
    let address = known.unwrap_or_else(|| account.request.client_address());
    let Some(permit) = &mut account.permits.request else { return Ok(()) };
    permit.count_anonymous(address).map_err(|bound| refused(bound, "without a credential"))
}

fn refused(bound: AddressBound, which: &str) -> Problem {
    let problem = match bound {
        AddressBound::Address(requests_max) => {
            let message = format!(
                "{requests_max} requests of this address {which} are in flight, and no more may be: wait until one has ended"
            );
            Problem::new(Refusal::RateLimited, message)
        }
        AddressBound::All => {
            Problem::new(Refusal::Overloaded, format!("too many requests {which} are in flight: try again soon"))
        }
    };
    problem.header(header::RETRY_AFTER, HeaderValue::from(1))
}
