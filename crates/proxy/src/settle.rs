//! The end of every request: replaces its reservation by the amount that was used, and writes its usage event, its
//! metrics and its log line.
//!
//! Settling never waits, because most requests whose client disconnects end in `Drop`.

mod log;
mod open;
mod refusals;
mod tokens;
mod trace;
mod used;

use std::sync::Arc;

use access::{Credits, Day, NanoUsd, Tokens};
use ai::ResponseFacts;
use ai::price::{Price, PriceTerms, REPORTED, reported_cost};
use config::snapshot::{Events, PriceSource};
use meter::rating::credit_price::CreditPrice;
use meter::result::CALLER_GONE;
use meter::{
    Attempt, Charge, CommittedRequest, Counts, Outcome, RequestResult, Source, ToolUse, UnknownCost, Usage, UsageEvent,
};
use spool::Record;
use telemetry::traces::TracedCall;
use tokio::time::Instant;

use crate::account::attempt;
use crate::account::attempt::micros;
use crate::account::cache_result::CacheResult;
use crate::account::permits::BudgetHold;
use crate::account::{EarlierAttempts, RequestAccount};
use crate::action::inference::shared_account;
use crate::metrics::EndedRequest;
use crate::worker::aggregation::{PendingSettlement, settle};

use used::{AttemptTerms, used};

/// The facts of a finished request, for its metrics, its event and its log line.
struct RequestSummary {
    outcome: Outcome,
    duration_us: u64,
    result: RequestResult,
    /// The code of the refusal that the client received, if it was refused and has not disconnected.
    refusal: Option<&'static str>,
    /// The upstream's id of the last attempt.
    upstream_id: Option<Arc<str>>,
    /// The number of refusals that the line of the request reports; `None` if it reports the request alone.
    refusals: Option<u64>,
}

impl RequestAccount {
    /// Settles the request once; later calls have no effect.
    pub(crate) fn finish(&mut self, outcome: Outcome, seen: Option<ResponseFacts>) {
        self.finish_at(Instant::now(), outcome, seen);
    }

    /// Settles like [`RequestAccount::finish`], with the current time `now` of a function that has read the clock already.
    pub(crate) fn finish_at(&mut self, now: Instant, outcome: Outcome, seen: Option<ResponseFacts>) {
        if std::mem::replace(&mut self.ending.is_settled, true) {
            return;
        }
        self.commit_if_sent();
        if self.is_background {
            return self.finish_background();
        }
        let outcome = if self.request.deadlines.has_left() { Outcome::CallerGone } else { outcome };
        let duration_us = micros(now - self.request.begun);
        if self.ending.status == 0 {
            self.ending.status = CALLER_GONE;
        }
        if let Some(hidden) = seen.as_ref().and_then(|seen| seen.hidden)
            && let Some(call) = self.call()
        {
            shared_account::note(self, call, hidden);
        }
        let had_no_effect = self.attempt.as_ref().is_some_and(|attempt| attempt.had_no_effect);
        if let Some(inference) = &mut self.inference {
            let is_partial = seen.as_ref().is_some_and(|seen| seen.usage.is_some() && !seen.ended);
            inference.is_usage_partial = is_partial && !had_no_effect;
        }
        if let Some(attempt) = self.attempt.take() {
            self.ending.request_bytes = attempt.progress.bytes();
            if attempt.probe.anything_written() && self.leaves_a_row() {
                let record = self.record_of(&attempt, now, seen);
                self.note_attempt(record);
            }
        }
        if self.inference.is_some() {
            self.count_for_target(now, outcome);
            self.settle_tokens(outcome);
        }
        let mut summary = self.summary(outcome, duration_us);
        let handles = &self.request.worker().handles;
        let route = &self.policy().name;
        let method = self.request.head.method_bytes();
        let ended = EndedRequest { route, method, status: self.ending.status, result: summary.result, duration_us };
        handles.ended(&self.request.snapshot.requests, &ended);
        if let Some(result) = self.cache {
            handles.cached(route, result.as_str());
        }
        if let Some((refusal, _)) = &self.ending.refusal {
            handles.refused(*refusal);
        }
        match std::mem::replace(&mut self.permits.budgets, BudgetHold::Nothing) {
            BudgetHold::CommittedRequest(committed) => self.record(committed, &summary, now),
            BudgetHold::Reserved(reservation) => {
                let owed = match self.permits.prelogged.take() {
                    Some(prelogged) => {
                        prelogged.unsent(reservation);
                        PendingSettlement::default()
                    }
                    None => {
                        let (_, mut unsent) = self.permits.take_further();
                        unsent.push(reservation);
                        PendingSettlement::unsent(unsent)
                    }
                };
                self.record_unsent(now, &summary, owed);
            }
            BudgetHold::Nothing => self.record_unsent(now, &summary, PendingSettlement::default()),
        }
        log::end(self, &mut summary, now);
        trace::end(self, &summary, now);
    }

    /// Ends a request that the gateway has sent itself. It is no usage of a client.
    fn finish_background(&mut self) {
        let handles = &self.request.worker().handles;
        handles.cached(&self.policy().name, CacheResult::Refresh.as_str());
        if let BudgetHold::CommittedRequest(committed) =
            std::mem::replace(&mut self.permits.budgets, BudgetHold::Nothing)
        {
            committed.settle_as_reserved();
        }
    }

    /// Adds an attempt that has ended. Most requests have one, so room is made for one.
    fn note_attempt(&mut self, attempt: Attempt) {
        if self.attempts.is_empty() {
            self.attempts.reserve_exact(1);
        }
        self.attempts.push(attempt);
    }

    /// Returns the facts of the request, whose attempts have ended.
    fn summary(&self, outcome: Outcome, duration_us: u64) -> RequestSummary {
        let refusal = self.ending.refusal.as_ref().map(|(refusal, _)| refusal.code());
        let refusal = if outcome == Outcome::CallerGone { None } else { refusal };
        let result = RequestResult::from_outcome(self.ending.status, outcome, refusal);
        let upstream_id = self.attempts.last().and_then(|attempt| attempt.upstream_id.clone());
        RequestSummary { outcome, duration_us, result, refusal, upstream_id, refusals: None }
    }

    /// Returns the record of an attempt with its usage and cost.
    pub(crate) fn record_of(
        &mut self,
        attempt: &attempt::Attempt,
        now: Instant,
        seen: Option<ResponseFacts>,
    ) -> Attempt {
        let mut seen = seen.unwrap_or_default();
        let has_called_tools = seen.has_called_tools;
        if seen.usage.is_none() && seen.ended && attempt.status.is_some_and(|status| (200..300).contains(&status)) {
            self.bill(&mut seen);
        }
        let (listed, reported) = self.price_or_cost(&seen);
        let price = listed.zip(seen.terms).and_then(|(price, terms)| price.with_terms(terms));
        let cost = match (&seen.usage, attempt.status) {
            (Some(_), _) if reported.is_some() => reported,
            (Some(_), _) if seen.unknown.is_some() => None,
            (Some(usage), _) => price.as_ref().and_then(|price| price.cost(usage)),
            // An error of a provider costs what the provider reports (CX-6): nothing. An attempt that the provider
            // refused to begin costs nothing either.
            (None, Some(400..)) => Some(NanoUsd(0)),
            (None, _) if attempt.had_no_effect => Some(NanoUsd(0)),
            (None, _) => None,
        };
        let known = if cost.is_none() { seen.usage.as_ref().zip(listed) } else { None };
        let known = known.map_or(NanoUsd(0), |(usage, listed)| listed.cost_at_least(seen.terms, usage));
        let unknown = match (cost, &seen.usage) {
            (Some(_), _) => None,
            (None, None) => Some(UnknownCost::NoUsage),
            (None, Some(_)) => Some(match (seen.unknown, listed, &price) {
                (Some(reason), ..) => reason,
                (None, None, _) => UnknownCost::NoPrice,
                (None, Some(_), None) => UnknownCost::UnknownTerms,
                (None, Some(_), Some(_)) => UnknownCost::NoRate,
            }),
        };
        if let Some(call) = self.call()
            && !call.free
        {
            let model = (call.provider.name.clone(), call.model.clone());
            self.request.worker().handles.used(model, seen.usage.as_ref(), cost);
        }
        let price_version = match reported {
            Some(_) => Some(Arc::from(REPORTED)),
            None => seen.usage.and(cost).and(price).map(|price| price.version.clone()),
        };
        let record = Attempt {
            provider: self.destination.as_ref().map_or(&self.policy().name, |upstream| &upstream.name).clone(),
            model: self.call().map(|call| call.model.clone()),
            answered_model: seen.model,
            status: attempt.status,
            upstream_id: attempt.upstream_id.clone().or_else(|| seen.id.clone()),
            usage: seen.usage,
            raw_usage: seen.raw_usage,
            cost,
            unknown: if self.call().is_some() { unknown } else { None },
            price_version,
            own_credential: self.call().is_some_and(|call| call.own_credential),
            first_byte_us: attempt.first_byte_us,
            duration_us: micros(now - attempt.since),
        };
        if let Some(spans) = &self.request.spans
            && let Some(call) = self.call()
        {
            let first_chunk_us = spans.first_chunk_us(attempt.since);
            spans.used(TracedCall { response_id: seen.id, first_chunk_us, ..trace::call_of(call, &record) });
        }
        if let Some(inference) = &mut self.inference {
            inference.known_cost = known;
            if has_called_tools && let Some(origin) = inference.origin.as_mut() {
                origin.tools = ToolUse::Called;
            }
        }
        record
    }

    /// Returns the price of the call, or the cost that its provider reports with the usage in place of one.
    fn price_or_cost(&self, seen: &ResponseFacts) -> (Option<&Price>, Option<NanoUsd>) {
        let Some(call) = self.call() else { return (None, None) };
        let names = (&*call.model, seen.model.as_deref());
        let listed = self.request.snapshot.traffic.price(&call.provider, names, self.request.started_at);
        if call.provider.price_source == PriceSource::Table
            || seen.usage.is_none()
            || listed.is_some_and(Price::is_configured)
        {
            return (listed, None);
        }
        match seen.raw_usage.as_deref().and_then(reported_cost) {
            Some(cost) => (None, Some(cost)),
            None => (listed, None),
        }
    }

    /// Bills a complete response without reported usage by the amount that the request itself determines, if it is
    /// countable.
    fn bill(&self, seen: &mut ResponseFacts) {
        let inference = self.inference.as_ref().filter(|inference| inference.is_billable);
        if let Some(billed) = inference.and_then(|inference| inference.call.as_ref()?.billable) {
            seen.usage = Some(Usage { billed: Some(billed), ..Usage::empty(Source::Counted) });
            seen.terms = Some(PriceTerms::default());
        }
    }

    /// Appends one usage event to the spool, or adds the request to the counts. A request that only counts tokens
    /// leaves neither.
    fn record(&mut self, committed: CommittedRequest, summary: &RequestSummary, now: Instant) {
        if self.call().is_some_and(|call| call.free) {
            committed.settle_as_reserved();
            return;
        }
        let (charge, estimated) = self.charge(&committed.reserved());
        let windows = committed.windows();
        if self.policy().events == Events::Folded && windows.is_empty() {
            let counts = self.counts(&committed, summary.outcome);
            match self.permits.prelogged.take() {
                Some(prelogged) => prelogged.count(counts),
                // The committed request is dropped unsettled, which `tollgate_meter_dropped_total` counts.
                None if !self.request.worker().aggregation.add(counts) => return,
                None => {}
            }
            return settle(committed, &charge, &estimated);
        }
        let mut event = self.event(summary, committed.day(), charge);
        event.windows = windows;
        self.remove_invented_names(&mut event, now);
        let owed = if self.permits.further.is_empty() {
            PendingSettlement::settling(committed, charge, estimated)
        } else {
            let (further, unsent) = self.permits.take_further();
            PendingSettlement::settling_all(committed, further, unsent, charge, estimated)
        };
        self.append(event, owed);
    }

    /// Returns the charge of the request, and the part of it that no provider reported. If usage is unknown, or only a
    /// part of it was reported, the charge is at least the reservation.
    fn charge(&self, reserved: &Charge) -> (Charge, Charge) {
        let rates = self.credit_rates();
        let (charge, estimated) = match self.inference.as_ref().and_then(|inference| inference.earlier.as_ref()) {
            None => self.charge_of(0, reserved),
            Some(earlier) => {
                let credits = if rates.is_some() { earlier.reserved.credits } else { reserved.credits };
                let (charge, estimated) = self.charge_of(earlier.count, &Charge { credits, ..earlier.reserved });
                (charge.and(&earlier.used), estimated.and(&earlier.estimated))
            }
        };
        let minimum = rates.map_or(Credits::ZERO, |rates| rates.minimum);
        (Charge { credits: charge.credits.max(minimum), ..charge }, estimated)
    }

    /// Returns the charge of the attempts from the number `from`, as [`Self::charge`].
    fn charge_of(&self, from: usize, reserved: &Charge) -> (Charge, Charge) {
        let inference = self.inference.as_ref();
        let known_cost = inference.map_or(NanoUsd::ZERO, |inference| inference.known_cost);
        let rates = self.credit_rates().zip(self.call());
        let price = rates.map(|(rates, call)| {
            move |attempt: &Attempt| {
                let model = attempt.model.as_deref().unwrap_or(&call.model);
                rates.price(&call.requested_model, &attempt.provider, model)
            }
        });
        let credit_price = price.as_ref().map(|price| -> &dyn Fn(&Attempt) -> CreditPrice { price });
        let terms = AttemptTerms { reserved, credit_price };
        let (used, estimated) = used(self.attempts.get(from..).unwrap_or_default(), known_cost, terms);
        if !inference.is_some_and(|inference| inference.is_usage_partial) {
            return (used, estimated);
        }
        let charge = used.or_more(reserved);
        // Flat credits are not estimated: the rest has none.
        (charge, estimated.and(&charge.less(&used)))
    }

    /// Counts the tokens of the last attempt for the limits of its target, and ends the call there.
    fn count_for_target(&mut self, now: Instant, outcome: Outcome) {
        let Some(target) = self.permits.target.take() else { return };
        let earlier = self.inference.as_ref().and_then(|inference| inference.earlier.as_ref());
        let (from, reserved) =
            earlier.map_or_else(|| (0, self.permits.budgets.charge()), |earlier| (earlier.count, earlier.reserved));
        let used = self.charge_of(from, &reserved).0.tokens;
        // A client that leaves cannot use up the limit with responses of which it reads nothing: a token has at least a byte.
        let relayed = Tokens(self.ending.request_bytes.saturating_add(self.ending.response_bytes));
        let most = target.tokens_max();
        let most = if outcome == Outcome::CallerGone { most.min(relayed) } else { most };
        target.count(used.max(self.unreported(from, most)), now);
    }

    /// Returns `tokens_max` if an attempt from the number `from` has used an unknown number of tokens, otherwise 0.
    fn unreported(&self, from: usize, tokens_max: Tokens) -> Tokens {
        let is_unknown = |attempt: &Attempt| attempt.usage.is_none() && attempt.cost != Some(NanoUsd::ZERO);
        let is_any = self.attempts.get(from..).unwrap_or_default().iter().any(is_unknown);
        if is_any { tokens_max } else { Tokens::ZERO }
    }

    /// Returns the minute in which the request began, since the Unix epoch.
    fn minute(&self) -> u32 {
        u32::try_from(self.request.started_at.unix_seconds() / 60).unwrap_or(u32::MAX)
    }

    fn counts(&self, committed: &CommittedRequest, outcome: Outcome) -> Counts {
        Counts {
            subject: self.identity.subject.recorded(),
            route: self.policy().name.clone(),
            status_class: RequestResult::status_class(self.ending.status, outcome),
            minute: self.minute(),
            day: committed.day(),
            requests: 1,
            credits: committed.reserved().credits,
            labels: self.labels(),
        }
    }

    /// Returns the usage event of the request.
    fn event(&mut self, summary: &RequestSummary, day: Day, charge: Charge) -> UsageEvent {
        let handles = &self.request.worker().handles;
        let inference = self.inference.as_ref();
        let mut origin = self.origin();
        let refused_limit = self.ending.refused_limit.take();
        origin.refused_limit = if summary.refusal.is_some() { refused_limit } else { None };
        let format = self.call().map(|call| call.format).or_else(|| inference?.format);
        UsageEvent {
            id: self.request.id,
            subject: self.identity.subject.recorded(),
            started_at: self.request.started_at,
            day,
            windows: Vec::new(),
            charge,
            route: self.policy().name.clone(),
            format: format.map(|format| handles.format(format)),
            model: self.counted_model(),
            streamed: self.call().is_some_and(|call| call.streamed),
            status: self.ending.status,
            outcome: summary.outcome,
            request_bytes: self.ending.request_bytes,
            response_bytes: self.ending.response_bytes,
            duration_us: summary.duration_us,
            attempts: std::mem::take(&mut self.attempts),
            refusal: summary.refusal.map(Arc::from),
            origin,
        }
    }

    /// Appends the event to the spool, then settles or releases the reservation. If the spool fails, the event waits
    /// for another write.
    fn append(&mut self, event: UsageEvent, owed: PendingSettlement) {
        let record =
            if std::mem::take(&mut self.permits.has_open_record) { Record::Close(event) } else { Record::Event(event) };
        let worker = self.request.worker();
        let appended = worker.recorder.spool.borrow_mut().append(&record);
        match appended {
            Ok(()) => owed.done(),
            Err(error) => {
                // A full disk fails for every request that was admitted before.
                if let Some(failures) = worker.shared.capacity.unrecorded_events.count_failure(Instant::now()) {
                    tracing::error!(request_id = %self.request.id, %error, failures, "a usage event cannot be recorded yet");
                }
                worker.aggregation.keep(record, owed);
            }
        }
    }

    /// Ends an attempt of an LLM call whose target has failed, so that another one may follow. `seen` are the facts of its
    /// response, and `reserved` are the amounts that it might use.
    pub(crate) fn end_attempt(&mut self, reserved: Charge, seen: Option<ResponseFacts>) {
        self.commit_if_sent();
        let now = self.request.read_clock();
        if let Some(attempt) = self.attempt.take() {
            self.ending.request_bytes = attempt.progress.bytes();
            if attempt.probe.anything_written() {
                let is_partial = seen.as_ref().is_some_and(|seen| seen.usage.is_some() && !seen.ended);
                let record = self.record_of(&attempt, now, seen);
                self.note_attempt(record);
                if let Some(inference) = &mut self.inference {
                    inference.is_usage_partial = is_partial && !attempt.had_no_effect;
                }
            }
        }
        let count = self.inference.as_ref().and_then(|of| of.earlier.as_ref()).map_or(0, |earlier| earlier.count);
        // Flat credits are those of the whole call, not of an attempt.
        let credits = if self.credit_rates().is_some() { reserved.credits } else { Credits::ZERO };
        let (used, estimated) = self.charge_of(count, &Charge { credits, ..reserved });
        if let Some(target) = self.permits.target.take() {
            target.count(used.tokens.max(self.unreported(count, target.tokens_max())), now);
        }
        let count = self.attempts.len();
        if let Some(inference) = &mut self.inference {
            let earlier = inference.earlier.get_or_insert_default();
            let used = earlier.used.and(&used);
            let estimated = earlier.estimated.and(&estimated);
            **earlier = EarlierAttempts { count, used, estimated, reserved: Charge::default() };
            inference.known_cost = NanoUsd::ZERO;
            inference.is_billable = true;
            inference.is_usage_partial = false;
        }
    }
}

impl Drop for RequestAccount {
    fn drop(&mut self) {
        // The clock is read only for a request that has not ended.
        if !self.ending.is_settled {
            let outcome = if self.request.deadlines.is_ending() { Outcome::Drained } else { Outcome::CallerGone };
            self.finish(outcome, None);
        }
    }
}
