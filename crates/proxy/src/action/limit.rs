//! The limits, quotas and budgets of a request, which every action reserves first.

use meter::{AdmissionInfo, Charge, Reservation};

use crate::account::RequestAccount;
use crate::account::client::Client;
use crate::limits::{budget, subject_quota};
use crate::refusal::problem::Problem;

/// Reserves the maximum usage of the request in every limit and budget of its client; `charge` is `None` for a free
/// request. A client without a user has the quota and the budgets of its plan, an anonymous client no limits.
pub(super) async fn limit(
    account: &mut RequestAccount,
    client: Option<&Client>,
    charge: Option<Charge>,
) -> Result<AdmissionInfo, Problem> {
    let since = account.request.phase_begins();
    let of_subject = match client {
        None if charge.is_some_and(|charge| charge != Charge::default()) => subject_quota::limits(account).await?,
        None | Some(_) => None,
    };
    if of_subject.is_some() {
        account.identity.limits.clone_from(&of_subject);
    }
    let reservation = match client.map(|client| &client.limits).or(of_subject.as_ref()) {
        Some(limits) => budget::reserve(account, limits, charge).await?,
        None => Reservation::open(),
    };
    account.request.phase_ends("limit", since);
    let admission = reservation.info();
    account.reserved(reservation);
    Ok(admission)
}

/// Counts a request to which the gateway itself responds: it is free, but has a rate limit.
pub(super) async fn limit_free(
    account: &mut RequestAccount,
    client: Option<&Client>,
) -> Result<AdmissionInfo, Problem> {
    let admission = limit(account, client, None).await?;
    account.spend();
    Ok(admission)
}
