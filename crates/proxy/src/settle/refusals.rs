//! Records of requests that reached no upstream: usage events of refused LLM requests, whose number is limited
//! ([`Refusals`](crate::worker::refusals::Refusals)), and counts of the requests of configured routes. Metrics count every
//! refusal.

use std::sync::Arc;

use access::{Credits, SubjectKind};
use meter::{Attempt, Charge, Counts, Outcome, RequestResult, UsageEvent};
use tokio::time::Instant;

use crate::account::RequestAccount;
use crate::settle::RequestSummary;
use crate::worker::aggregation::PendingSettlement;

impl RequestAccount {
    /// Ends a request that was not sent. A usage event is recorded if the request has an open record, or if it is a
    /// refused LLM request of an authenticated client, or if it got a stored response on a route with `events: rows`. Other requests of configured routes are counted. A request whose client
    /// disconnected is not refused. A request that only counts tokens has no usage event.
    pub(super) fn record_unsent(&mut self, now: Instant, summary: &RequestSummary, owed: PendingSettlement) {
        let is_recorded = match summary.refusal {
            Some(_) => self.takes_a_row(now),
            None => self.is_recorded_hit(),
        };
        if self.permits.has_open_record || is_recorded {
            let day = self.request.started_at.day();
            let charge = Charge::default();
            let mut event = self.event(summary, day, charge);
            event.model = self.recorded_model(now);
            self.append(event, owed);
        } else {
            owed.done();
            self.count_unsent(summary);
        }
    }

    /// Whether a request that got a stored response has its own usage event.
    fn is_recorded_hit(&self) -> bool {
        let is_hit = self.cache.is_some_and(|result| result.recorded().is_free());
        // The reserve of the spool is for requests that were admitted.
        is_hit && self.leaves_a_row() && self.request.worker().recorder.spool.borrow().has_room()
    }

    /// Adds the request to the counts of its route, without a charge.
    fn count_unsent(&self, summary: &RequestSummary) {
        let worker = self.request.worker();
        let policy = self.policy();
        // The reserve of the spool is for requests that were admitted.
        if !policy.is_configured() || !worker.recorder.spool.borrow().has_room() {
            return;
        }
        worker.aggregation.add(Counts {
            subject: self.identity.subject.recorded(),
            route: policy.name.clone(),
            status_class: RequestResult::unsent_class(self.ending.status, summary.outcome, summary.refusal),
            minute: self.minute(),
            day: self.request.started_at.day(),
            requests: 1,
            credits: Credits::ZERO,
            labels: self.labels(),
        });
    }

    fn takes_a_row(&self, now: Instant) -> bool {
        let format = self.inference.as_ref().and_then(|inference| inference.format);
        if format.is_none() || self.identity.subject.kind() == SubjectKind::Anonymous {
            return false;
        }
        let worker = self.request.worker();
        // The reserve of the spool is for requests that were admitted.
        worker.recorder.spool.borrow().has_room() && worker.refusals.takes(&self.identity.subject, now)
    }

    /// Removes the model's names from the event of a call that no provider has served, if only the client knows them and
    /// the store gets no further names: every provider refused the call, or the client left before a response.
    pub(super) fn remove_invented_names(&self, event: &mut UsageEvent, now: Instant) {
        let is_unserved = |attempt: &Attempt| match attempt.status {
            Some(status) => matches!(status, 400..500),
            None => event.outcome == Outcome::CallerGone,
        };
        if !event.attempts.iter().all(is_unserved) {
            return;
        }
        event.model = self.recorded_model(now);
        if event.model.is_none() {
            event.attempts.iter_mut().for_each(|attempt| attempt.model = None);
        }
    }

    /// Returns the requested model's name for the event of a call that no provider has served. The store keeps a row per
    /// name, so the number and the length of names that only clients know are limited.
    fn recorded_model(&self, now: Instant) -> Option<Arc<str>> {
        let traffic = &self.request.snapshot.traffic;
        let call = self.call();
        let counted = match call {
            Some(call) => call.counted_model.clone(),
            None => traffic.counted_name(self.inference.as_ref()?.refused_model.as_ref()?),
        };
        if traffic.names(&counted, call.map(|call| (&*call.provider, &*call.model))) {
            return Some(counted);
        }
        self.request.worker().invented_names.recorded(&self.identity.subject, &counted, now)
    }

    /// Returns the name under which the call's usage is counted.
    pub(super) fn counted_model(&self) -> Option<Arc<str>> {
        self.call().map(|call| call.counted_model.clone())
    }
}
