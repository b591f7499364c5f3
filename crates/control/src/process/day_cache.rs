//! Computed responses of days, so that a page that many people read costs one computation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use access::{Clock, Day, Mono};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use insights::{Brief, Classification, DayScope, Roi};

/// Maximum number of responses; a further one replaces the oldest.
const RESPONSES_MAX: usize = 1_000;
/// Maximum age of responses of days that are over. Their figures have a version, but names of users and prices have none.
const PAST_MAX: Duration = Duration::from_secs(60);

/// What a response depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ResponseKey {
    pub(crate) endpoint: DayEndpoint,
    pub(crate) day: Day,
    pub(crate) scope: DayScope,
    /// Whether the day is over and all its usage is stored.
    pub(crate) complete: bool,
    pub(crate) figures_version: u64,
    /// The digest of the settings.
    pub(crate) settings: u64,
}

impl ResponseKey {
    /// Returns the maximum age of the response. `today_max` is that of days that are not complete.
    pub(crate) const fn age_max(&self, today_max: Duration) -> Duration {
        if self.complete { PAST_MAX } else { today_max }
    }
}

/// The endpoints whose responses are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum DayEndpoint {
    Brief,
    Classification,
    Roi,
}

/// A response that was computed.
#[derive(Debug, Clone)]
pub(crate) enum DayResponse {
    Brief(Arc<Brief>),
    Classification(Arc<Classification>),
    Roi(Arc<Roi>),
}

impl DayResponse {
    /// Returns the response as JSON; every response can be written.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Brief(brief) => serde_json::to_string(&**brief).ok(),
            Self::Classification(classification) => serde_json::to_string(&**classification).ok(),
            Self::Roi(roi) => serde_json::to_string(&**roi).ok(),
        }
    }

    /// Reads a response of an endpoint; `None` for another text.
    pub(crate) fn read(endpoint: DayEndpoint, text: &str) -> Option<Self> {
        match endpoint {
            DayEndpoint::Brief => serde_json::from_str(text).ok().map(|brief| Self::Brief(Arc::new(brief))),
            DayEndpoint::Classification => {
                serde_json::from_str(text).ok().map(|classification| Self::Classification(Arc::new(classification)))
            }
            DayEndpoint::Roi => serde_json::from_str(text).ok().map(|roi| Self::Roi(Arc::new(roi))),
        }
    }
}

/// A response as JSON, which is written once for all clients.
#[derive(Debug, Clone)]
pub(crate) struct DayText(Bytes);

impl DayText {
    /// Returns the text of a response; every response can be written.
    pub(crate) fn from_response(response: &DayResponse) -> Option<Self> {
        response.text().map(|text| Self(text.into()))
    }
}

impl IntoResponse for DayText {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], self.0).into_response()
    }
}

/// A response that is kept.
#[derive(Debug)]
struct KeptResponse {
    at: Mono,
    response: DayResponse,
    text: OnceLock<Option<DayText>>,
}

/// The responses that this process has computed.
#[derive(Debug)]
pub(crate) struct DayCache {
    clock: Clock,
    responses: Mutex<HashMap<ResponseKey, Arc<KeptResponse>>>,
}

impl DayCache {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, responses: Mutex::default() }
    }

    /// Returns a response that is not too old. `today_max` bounds the age of responses of days that are not complete.
    pub(crate) fn find(&self, key: &ResponseKey, today_max: Duration) -> Option<DayResponse> {
        self.kept(key, today_max).map(|kept| kept.response.clone())
    }

    /// Returns the text of a response that [`find`](Self::find) returns.
    pub(crate) fn text(&self, key: &ResponseKey, today_max: Duration) -> Option<DayText> {
        let kept = self.kept(key, today_max)?;
        kept.text.get_or_init(|| DayText::from_response(&kept.response)).clone()
    }

    fn kept(&self, key: &ResponseKey, today_max: Duration) -> Option<Arc<KeptResponse>> {
        let age_max = key.age_max(today_max);
        let responses = self.responses.lock().unwrap_or_else(PoisonError::into_inner);
        responses.get(key).filter(|kept| self.clock.mono().since(kept.at) < age_max).cloned()
    }

    /// Keeps a response for later requests.
    pub(crate) fn keep(&self, key: ResponseKey, response: DayResponse) {
        let mut responses = self.responses.lock().unwrap_or_else(PoisonError::into_inner);
        if responses.len() >= RESPONSES_MAX && !responses.contains_key(&key) {
            let oldest = responses.iter().min_by_key(|(_, kept)| kept.at).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                responses.remove(&oldest);
            }
        }
        let kept = KeptResponse { at: self.clock.mono(), response, text: OnceLock::new() };
        responses.insert(key, Arc::new(kept));
    }
}

#[cfg(test)]
mod tests {
    use access::{NanoUsd, Timestamp};
    use insights::anomalies::DayFigures;
    use insights::briefing::{CacheSavings, FiguresHead, ResponseCacheUse, RoiFigures, roi};

    use super::*;

    fn key(day: u32, complete: bool) -> ResponseKey {
        ResponseKey {
            endpoint: DayEndpoint::Roi,
            day: Day(day),
            scope: DayScope::All {},
            complete,
            figures_version: 0,
            settings: 1,
        }
    }

    fn response() -> DayResponse {
        let head = FiguresHead {
            day: Day(1),
            scope: DayScope::All {},
            as_of: Timestamp(0),
            complete: false,
            figures_version: 0,
        };
        let of = RoiFigures {
            figures: &DayFigures::default(),
            refused_by_budget: 0,
            prompt_caches: CacheSavings::default(),
            response_caches: ResponseCacheUse::default(),
            gateway_cost: NanoUsd(0),
        };
        DayResponse::Roi(Arc::new(roi(&head, of)))
    }

    #[test]
    fn a_response_reads_back_for_its_endpoint_only() {
        let text = response().text().unwrap();
        let Some(DayResponse::Roi(read)) = DayResponse::read(DayEndpoint::Roi, &text) else { panic!("{text}") };
        assert_eq!(DayResponse::Roi(read).text().unwrap(), text);
        assert!(DayResponse::read(DayEndpoint::Brief, &text).is_none());
        assert!(DayResponse::read(DayEndpoint::Roi, "{}").is_none());
    }

    #[test]
    fn responses_expire_and_are_bounded() {
        let clock = Clock::manual(Timestamp(0));
        let cache = DayCache::new(clock.clone());
        let today_max = Duration::from_secs(5);
        let has = |key: &ResponseKey| cache.find(key, today_max).is_some();
        assert!(!has(&key(1, false)));
        cache.keep(key(1, false), response());
        cache.keep(key(1, true), response());
        assert!(has(&key(1, false)) && !has(&ResponseKey { figures_version: 1, ..key(1, false) }));
        clock.advance(Duration::from_secs(5));
        assert!(!has(&key(1, false)) && has(&key(1, true)));
        assert!(cache.text(&key(1, false), today_max).is_none());
        let DayText(text) = cache.text(&key(1, true), today_max).unwrap();
        assert_eq!(text, response().text().unwrap());
        assert!(cache.find(&key(1, true), Duration::ZERO).is_some());
        clock.advance(Duration::from_secs(55));
        assert!(!has(&key(1, true)));
        let max = u32::try_from(RESPONSES_MAX).unwrap();
        for day in 2..max + 3 {
            clock.advance(Duration::from_nanos(1));
            cache.keep(key(day, true), response());
        }
        assert_eq!(cache.responses.lock().unwrap().len(), RESPONSES_MAX);
        assert!(!has(&key(2, true)) && has(&key(max + 2, true)));
    }
}
