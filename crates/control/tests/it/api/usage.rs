mod history;
mod request;
mod requests;
mod scope;
mod series;
mod today;

use access::{NanoUsd, Timestamp};
use meter::UsageEvent;

use crate::client::{Answer, get};
use crate::world::{Holder, NOON, World, event};

pub(crate) const DAY_US: u64 = 86_400_000_000;

/// Returns the time this number of seconds after noon.
pub(crate) fn time_at(seconds: u64) -> Timestamp {
    Timestamp(NOON.0 + seconds * 1_000_000)
}

/// An LLM request of a holder with a cost of 1,500 nano-USD.
pub(crate) fn event_of(holder: &Holder, at: Timestamp) -> UsageEvent {
    event(holder.caller, at, Some(NanoUsd(1_500)))
}

/// A request that was refused before it was forwarded.
pub(crate) fn refused(holder: &Holder, at: Timestamp, code: &str, status: u16) -> UsageEvent {
    UsageEvent {
        charge: meter::Charge::default(),
        attempts: Vec::new(),
        status,
        refusal: Some(code.into()),
        ..event_of(holder, at)
    }
}

pub(crate) async fn ask(world: &World, holder: &Holder, path: &str) -> Answer {
    get(world.address, path, &[&holder.bearer()]).await
}

/// Asserts that two responses are equal except for the request id.
pub(crate) fn assert_alike(one: &Answer, other: &Answer) {
    let reported = |answer: &Answer| {
        let mut headers: Vec<_> = answer.headers.clone().into_iter().collect();
        headers.retain(|(name, _)| !["x-request-id", "date", "x-ratelimit-remaining"].contains(&name.as_str()));
        headers.sort();
        (answer.status, headers, answer.body.clone())
    };
    assert_eq!(reported(one), reported(other));
}
