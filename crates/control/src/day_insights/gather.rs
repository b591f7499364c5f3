//! Reads the figures of a day, and composes the responses.

use std::sync::Arc;
use std::time::Duration;

use access::{Day, NanoUsd, Tokens};
use insights::anomalies::{DAYS_READ, DayFigures};
use insights::briefing::{
    self, BriefFigures, CacheSavings, ClassifiedDay, DayOutcomes, FiguresHead, ResponseCacheUse, RoiFigures,
};
use insights::classify::{RequestGroup, lacking_ids};
use insights::latency::latency;
use insights::rules::RuleSet;
use insights::signed_classes::SignedClasses;
use insights::{Brief, Classification, InsightSettings, Roi};
use ledger::{CachedUsage, DayState, DayTotals, EventGroup, GroupBounds, MinuteGroup};
use meter::{Source, Usage};

use super::conversion::{self, RuleBounds};
use super::day_scope::VisibleScope;
use super::progress::IngestProgress;
use super::{signed, spend_budget};
use crate::day_insights::shared_days;
use crate::message::problem::Problem;
use crate::process::day_cache::{DayEndpoint, DayResponse, DayText, ResponseKey};
use crate::process::known_settings::IdentifiedSettings;
use crate::process::state::App;

/// The codes of requests that a limit on usage refused.
const REFUSED_BY_BUDGET: [access::Refusal; 2] = [access::Refusal::BudgetExceeded, access::Refusal::QuotaExceeded];

/// Reads figures of one day of a scope.
#[derive(Debug)]
pub(crate) struct DayReader<'a> {
    app: &'a App,
    visible: VisibleScope,
    head: FiguresHead,
    settings: Arc<IdentifiedSettings>,
    /// The classes of the scope, if its day is approved.
    signed: Option<SignedClasses>,
}

impl<'a> DayReader<'a> {
    /// Begins to read a day: its version first, so that figures are never older than their version.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn begin(app: &'a App, day: Day, visible: VisibleScope) -> Result<Self, Problem> {
        let now = app.clock.now();
        let DayState { figures_version, settings } = app.ledger.day_state(day).await?;
        // The progress of nodes matters only after the end of the day.
        let is_over = now >= day.next().start();
        let complete = is_over && IngestProgress::new(app.store.node_progress().await?, now).is_complete(day);
        let head = FiguresHead { day, scope: visible.scope.clone(), as_of: now, complete, figures_version };
        let settings = app.insight_settings.numbered(&app.ledger, &app.live.load().traffic.insights, settings).await?;
        let mut reader = Self { app, visible, head, settings, signed: None };
        if complete {
            reader.keep_signed().await?;
        }
        Ok(reader)
    }

    /// Keeps the classes of an approved day: those of the scope as they were approved; other scopes of a day that was approved
    /// for all users keep its rules.
    async fn keep_signed(&mut self) -> Result<(), Problem> {
        let Some((signed, is_of_scope)) = signed::signed_classes(self.app, &self.head, self.settings()).await? else {
            return Ok(());
        };
        self.settings = Arc::new(self.settings.with_signed(&signed, is_of_scope));
        self.signed = is_of_scope.then_some(signed);
        Ok(())
    }

    /// Returns the classes that a decision about the day is about. A further approval keeps those of an approved day.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn classes_to_sign(&self) -> Result<(u64, SignedClasses), Problem> {
        if let Some(signed) = &self.signed {
            return Ok((self.head.figures_version, signed.clone()));
        }
        let classification = self.classification().await?;
        Ok((classification.figures_version, SignedClasses::from_classification(&classification, self.settings())))
    }

    /// Returns a response as JSON. A response of this process needs no computation.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn text(&self, endpoint: DayEndpoint) -> Result<DayText, Problem> {
        let kept = || self.app.days.text(&self.key(endpoint), self.today_max());
        if let Some(text) = kept() {
            return Ok(text);
        }
        let response = match endpoint {
            DayEndpoint::Brief => DayResponse::Brief(self.brief().await?),
            DayEndpoint::Classification => DayResponse::Classification(self.classification().await?),
            DayEndpoint::Roi => DayResponse::Roi(self.roi().await?),
        };
        kept().or_else(|| DayText::from_response(&response)).ok_or_else(Problem::internal)
    }

    /// Returns the requests by class.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn classification(&self) -> Result<Arc<Classification>, Problem> {
        if let Some(DayResponse::Classification(found)) = self.find(DayEndpoint::Classification).await {
            return Ok(found);
        }
        let classification = Arc::new(self.compute_classification().await?);
        self.keep(DayEndpoint::Classification, DayResponse::Classification(classification.clone())).await;
        Ok(classification)
    }

    async fn compute_classification(&self) -> Result<Classification, Problem> {
        let today = self.totals(0).await?.pop();
        let bounds = self.bounds();
        let (events, minutes) = self.requests(bounds.as_groups()).await?;
        let mut groups = conversion::groups(&events, &minutes, &bounds);
        self.complete_ids(&mut groups, &events, bounds.as_groups()).await;
        let figures = today.as_ref().map(conversion::figures).unwrap_or_default();
        let unpriced = today.map_or(0, |of| of.totals.unpriced_requests);
        let classified = ClassifiedDay { figures: &figures, unpriced, groups: &groups };
        Ok(briefing::classification(&self.head, self.settings(), classified))
    }

    /// Adds the id of a further request to each class of one group that has fewer than three ids. `groups` begin with those
    /// of `events`. At most one query per class reads events. After an error, classes keep the ids that they have.
    async fn complete_ids(&self, groups: &mut [RequestGroup<'_>], events: &[EventGroup], bounds: GroupBounds<'_>) {
        let of = self.visible.of;
        let day = self.head.day;
        let lacking = lacking_ids(&RuleSet::with(&self.settings().rules), groups);
        for at in lacking {
            let Some(group) = groups.get_mut(at) else { continue };
            let Some(event) = events.get(at) else { continue };
            match self.app.ledger.request_between(of, day, bounds, event).await {
                Ok(between) => group.ids.extend(between.map(|between| between.0)),
                Err(error) => {
                    tracing::warn!(%error, "a third request of a class could not be read; the class names two");
                    return;
                }
            }
        }
    }

    /// Returns the brief.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn brief(&self) -> Result<Arc<Brief>, Problem> {
        if let Some(DayResponse::Brief(found)) = self.find(DayEndpoint::Brief).await {
            return Ok(found);
        }
        let brief = Arc::new(self.compute_brief().await?);
        self.keep(DayEndpoint::Brief, DayResponse::Brief(brief.clone())).await;
        Ok(brief)
    }

    /// Computes the brief from the current figures.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn compute_brief(&self) -> Result<Brief, Problem> {
        let ledger = &self.app.ledger;
        let of = self.visible.of;
        let day = self.head.day;
        let totals = self.totals(DAYS_READ).await?;
        let days: Vec<DayFigures> = totals.iter().map(conversion::figures).collect();
        let today = totals.last().filter(|of| of.day == day);
        let outcomes = today.map_or_else(DayOutcomes::default, |of| DayOutcomes {
            failed: of.results.errors,
            unpriced: of.totals.unpriced_requests,
        });
        let bounds = self.bounds();
        let (events, minutes) = self.requests(bounds.as_groups()).await?;
        let before = match insights::figures::day::earlier(day, 7) {
            Some(before) => ledger.models_of_day(of, before).await?,
            None => Vec::new(),
        };
        let models = conversion::changes(&before, &ledger.models_of_day(of, day).await?);
        let durations = ledger.durations_of_day(of, day).await?;
        let histogram: Vec<(u64, u64)> = durations.iter().map(|of| (of.duration_ms, of.requests)).collect();
        let figures = BriefFigures {
            head: self.head.clone(),
            days: &days,
            outcomes,
            models: &models,
            groups: &conversion::groups(&events, &minutes, &bounds),
            codes: conversion::codes(&events, &minutes),
            failed: conversion::failed_cost(&events),
            latency: latency(&histogram),
            budget: spend_budget::budget(self.app, &self.visible.scope, day).await?,
            signed: self.signed.as_ref(),
        };
        Ok(briefing::brief(figures, self.settings()))
    }

    /// Returns the cost and the savings.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn roi(&self) -> Result<Arc<Roi>, Problem> {
        if let Some(DayResponse::Roi(found)) = self.find(DayEndpoint::Roi).await {
            return Ok(found);
        }
        let roi = Arc::new(self.compute_roi().await?);
        self.keep(DayEndpoint::Roi, DayResponse::Roi(roi.clone())).await;
        Ok(roi)
    }

    async fn compute_roi(&self) -> Result<Roi, Problem> {
        let figures = self.totals(0).await?.first().map(conversion::figures).unwrap_or_default();
        let (events, _) = self.requests(GroupBounds::default()).await?;
        let is_of_budget =
            |group: &&EventGroup| REFUSED_BY_BUDGET.iter().any(|of| group.refusal.as_deref() == Some(of.code()));
        let refused = events.iter().filter(is_of_budget).fold(0_u64, |sum, of| sum.saturating_add(of.requests));
        let caches = self.app.ledger.cached_usage(self.visible.of, self.head.day).await?;
        let mut savings = CacheSavings::default();
        for cached in &caches {
            match self.saved(cached) {
                Some(nano) => {
                    savings.amount_nano = savings.amount_nano.saturating_add(nano);
                    savings.requests = savings.requests.saturating_add(cached.requests);
                }
                None => savings.without_price = savings.without_price.saturating_add(cached.requests),
            }
        }
        let of = RoiFigures {
            figures: &figures,
            refused_by_budget: refused,
            prompt_caches: savings,
            response_caches: self.response_caches().await?,
            gateway_cost: NanoUsd(self.settings().roi.gateway_cost.amount_nano),
        };
        Ok(briefing::roi(&self.head, of))
    }

    /// Returns the use of the response caches of routes. Routes may have had other caches earlier on the day.
    async fn response_caches(&self) -> Result<ResponseCacheUse, Problem> {
        let requests = self.app.ledger.requests_from_cache(self.visible.of, self.head.day).await?;
        let snapshot = self.app.live.load();
        let is_configured = snapshot.traffic.router.routes().iter().any(|route| route.policy.cache.is_some());
        Ok(ResponseCacheUse { is_configured, requests })
    }

    /// Returns the difference between the cost of the tokens as ordinary input and as cached input, in nano-USD; `None` if the
    /// price is unknown.
    fn saved(&self, cached: &CachedUsage) -> Option<i128> {
        let snapshot = self.app.live.load();
        let names = (cached.model.as_deref().unwrap_or_default(), cached.answered_model.as_deref());
        let version = cached.price_version.as_deref()?;
        let price = snapshot.traffic.price_of_version(cached.provider.as_deref()?, names, version)?;
        let tokens = Some(Tokens(cached.cached_input));
        let as_input = Usage { input: tokens, ..Usage::empty(Source::Reported) };
        let as_cached = Usage { cached_input: tokens, ..Usage::empty(Source::Reported) };
        let input = price.rates.cost(&as_input)?;
        let cached = price.rates.cost(&as_cached)?;
        Some(i128::from(input.0) - i128::from(cached.0))
    }

    /// Returns a response of this process, or of another one. Only this process's own are kept here: the age of others is unknown.
    async fn find(&self, endpoint: DayEndpoint) -> Option<DayResponse> {
        let key = self.key(endpoint);
        let found = self.app.days.find(&key, self.today_max());
        if found.is_some() || !self.settings().cache.redis {
            return found;
        }
        shared_days::find(self.app, &key).await
    }

    async fn keep(&self, endpoint: DayEndpoint, response: DayResponse) {
        let key = self.key(endpoint);
        if self.settings().cache.redis {
            shared_days::keep(self.app, &key, &response, key.age_max(self.today_max())).await;
        }
        self.app.days.keep(key, response);
    }

    fn settings(&self) -> &InsightSettings {
        &self.settings.settings
    }

    fn today_max(&self) -> Duration {
        Duration::from_millis(self.settings().cache.today_ms)
    }

    fn key(&self, endpoint: DayEndpoint) -> ResponseKey {
        ResponseKey {
            endpoint,
            day: self.head.day,
            scope: self.head.scope.clone(),
            complete: self.head.complete,
            figures_version: self.head.figures_version,
            settings: self.settings.digest,
        }
    }

    /// Returns the totals of the day and of `back` days before it, oldest first.
    async fn totals(&self, back: u32) -> Result<Vec<DayTotals>, Problem> {
        let first = Day(self.head.day.0.saturating_sub(back));
        Ok(self.app.ledger.day_totals(self.visible.of, [first, self.head.day]).await?)
    }

    fn bounds(&self) -> RuleBounds {
        RuleBounds::from_rules(&RuleSet::with(&self.settings().rules))
    }

    async fn requests(&self, bounds: GroupBounds<'_>) -> Result<(Vec<EventGroup>, Vec<MinuteGroup>), Problem> {
        let ledger = &self.app.ledger;
        let of = self.visible.of;
        let day = self.head.day;
        Ok((ledger.event_groups(of, day, bounds).await?, ledger.minute_groups(of, day).await?))
    }
}
