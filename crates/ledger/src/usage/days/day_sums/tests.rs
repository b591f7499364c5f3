use access::{ClientProgram, Clock, Credits, Ids, LabelId, LabelSet, NanoUsd, RequestId, Timestamp, Tokens};
use meter::{Attempt, CacheUse, Counts, Outcome, RequestOrigin, SessionHash, ToolUse, Usage, UsageEvent};
use spool::Record;

use super::*;
use crate::fixture::{Place, event, tell};
use crate::usage::days::{CachedUsage, DayFigures, EventGroup, GroupBounds};
use crate::usage_fixture::{IngestNode, TODAY, attempt, caller, people};

/// Creates events of any kind that groups distinguish, in the order of a sequence that repeats.
struct EventMaker {
    ids: Ids,
    clock: Clock,
    seed: u64,
}

impl EventMaker {
    fn new(start: Timestamp, seed: u64) -> Self {
        let clock = Clock::manual(start);
        Self { ids: Ids::new(clock.clone()), clock, seed }
    }

    /// Returns a number below `below`.
    fn number(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let at = self.number(u64::try_from(all.len()).unwrap());
        all[usize::try_from(at).unwrap()]
    }

    fn attempts(&mut self) -> Vec<Attempt> {
        let tokens = [1, 60, 2_000, 0];
        let attempts = (0..self.number(3)).map(|nth| Attempt {
            provider: self.one_of(&["up", "other"]).into(),
            cost: self.one_of(&[Some(NanoUsd(900_000_000)), Some(NanoUsd(7)), None]),
            usage: attempt(1).usage.map(|of| Usage { cached_input: Some(Tokens(self.one_of(&tokens))), ..of }),
            price_version: self.one_of(&[None, Some("2026-11")]).map(Into::into),
            own_credential: self.number(5) == 0,
            ..attempt(nth + self.one_of(&tokens))
        });
        attempts.collect()
    }

    fn event(&mut self) -> UsageEvent {
        self.clock.advance(Duration::from_millis(20_000));
        let people = [Some(caller(1, 1)), Some(caller(1, 2)), Some(caller(2, 3)), Some(caller(3, 4)), None];
        let of = self.one_of(&people);
        let day = if self.number(12) == 0 { TODAY.next() } else { TODAY };
        let session = self.number(12);
        UsageEvent {
            day,
            attempts: self.attempts(),
            duration_us: self.one_of(&[900, 1_500, 2_345_678, 2_399_999]),
            format: self.one_of(&[Some("chat"), Some("messages"), None]).map(Into::into),
            model: self.one_of(&[Some("fast"), Some("slow"), None]).map(Into::into),
            streamed: self.number(2) == 0,
            status: self.one_of(&[200, 200, 200, 429, 500]),
            outcome: self.one_of(&[Outcome::Completed, Outcome::Completed, Outcome::Interrupted]),
            refusal: self.one_of(&[None, None, Some("quota_exceeded")]).map(Into::into),
            origin: RequestOrigin {
                labels: LabelSet::of_text(self.one_of(&["", "team=core", "team=core,tier=gold"])),
                client: ClientProgram::of_number(self.one_of(&[0, 1])),
                tools: self.one_of(&[ToolUse::Called, ToolUse::Called, ToolUse::None]),
                session: (session < 8).then(|| SessionHash([u8::try_from(session).unwrap(); 16])),
                cache: self.one_of(&CacheUse::ALL),
                ..RequestOrigin::default()
            },
            ..event(RequestId(self.ids.next_uuid()), of, self.clock.now())
        }
    }

    /// Returns events, and counts of requests without an event.
    fn records(&mut self, events: usize) -> Vec<Record> {
        let mut records: Vec<Record> = (0..events).map(|_| Record::Event(self.event())).collect();
        let counts = Counts {
            subject: Some(caller(2, 3)).into(),
            route: "users".into(),
            status_class: 2,
            minute: u32::try_from(self.clock.now().unix_seconds() / 60).unwrap(),
            day: TODAY,
            requests: 7,
            credits: Credits(14),
            labels: LabelSet::of_text("team=core"),
        };
        records.push(Record::Counts { id: self.ids.next_uuid(), counts: vec![counts] });
        records
    }
}

/// Two readers of one store: with sums in memory, and without.
struct Ledgers {
    kept: DayFigures,
    plain: Ledger,
}

/// Returns the groups without the requests that a read of other slices may find.
fn comparable(groups: Vec<EventGroup>) -> Vec<EventGroup> {
    let mut groups: Vec<EventGroup> = groups.into_iter().map(|group| EventGroup { between: None, ..group }).collect();
    groups.sort_by_key(|group| group.ids);
    groups
}

fn sorted(mut cached: Vec<CachedUsage>) -> Vec<CachedUsage> {
    cached.sort_by_key(|of| format!("{of:?}"));
    cached
}

impl Ledgers {
    fn new(store: &store::Store, slice_events: u32) -> Self {
        let plain = Ledger::new(store.clone());
        let sums = Arc::new(SumsCache { slice_events, ..SumsCache::default() });
        Self { kept: DayFigures { ledger: plain.clone(), sums }, plain }
    }

    /// Compares each figure for each scope and for bounds of each kind.
    async fn agree(&self, after: &str) {
        let none = GroupBounds::default();
        let sessions = GroupBounds { requests_per_session: &[2, 4], sessions_of_called: true, ..none };
        let all_bounds = [
            none,
            GroupBounds { input_tokens: &[50, 1_000], ..none },
            GroupBounds { requests_per_key: &[5, 20], ..none },
            sessions,
            GroupBounds { sessions_of_called: false, ..sessions },
            GroupBounds { input_tokens: &[50, 1_000], requests_per_key: &[9], ..sessions },
            GroupBounds { interval_s: &[60], ..sessions },
        ];
        let label = DayUsageOf::Label(LabelId::of("team=core"));
        for of in [UsageOf::All.into(), label, UsageOf::User(access::UserNo(1)).into()] {
            for bounds in all_bounds {
                let what = format!("{of:?} {bounds:?} after {after}");
                let kept = &self.kept;
                let plain = &self.plain;
                let kept_groups = comparable(kept.event_groups(of, TODAY, bounds).await.unwrap());
                assert_eq!(kept_groups, comparable(plain.event_groups(of, TODAY, bounds).await.unwrap()), "{what}");
                let durations = kept.durations_of_day(of, TODAY).await.unwrap();
                assert_eq!(durations, plain.durations_of_day(of, TODAY).await.unwrap(), "{what}");
                let cached = sorted(kept.cached_usage(of, TODAY).await.unwrap());
                assert_eq!(cached, sorted(plain.cached_usage(of, TODAY).await.unwrap()), "{what}");
                let served = kept.requests_from_cache(of, TODAY).await.unwrap();
                assert_eq!(served, plain.requests_from_cache(of, TODAY).await.unwrap(), "{what}");
                assert!(!kept_groups.is_empty() && !durations.is_empty() && !cached.is_empty() && served > 0, "{what}");
            }
        }
    }

    /// Returns the numbers of settled and of recent slices of all users, and whether their sums are used.
    async fn state(&self) -> (bool, usize, bool) {
        let cache = &self.kept.sums;
        let of = SumsOf { of: UsageOf::All.into(), day: TODAY, input_tokens: Vec::new() };
        let place = cache.place(&of);
        let state = place.state.lock().await;
        (state.settled.events() > 0, state.recent.len(), state.total.is_some())
    }
}

/// The time of the clocks of test databases is 8:00.
fn hours(hours: u64) -> Timestamp {
    TODAY.start().after(Duration::from_hours(hours))
}

#[tokio::test]
async fn sums_in_memory_are_those_of_the_events() {
    for place in Place::both().await {
        let store = place.open().await;
        people(&store).await;
        let mut node = IngestNode::of(&store, place.folder.path()).await;
        let ledgers = Ledgers::new(&store, 7);
        let mut maker = EventMaker::new(hours(5), 1);
        node.write(&maker.records(60)).await;
        ledgers.agree("the first events").await;
        let (has_settled, _, is_used) = ledgers.state().await;
        assert!(has_settled && is_used);
        // 40 events take 13 minutes, of which the last slices are not settled.
        let mut recent = EventMaker::new(hours(8).before(Duration::from_secs(780)), 2);
        node.write(&recent.records(40)).await;
        ledgers.agree("recent events").await;
        let (_, slices, is_used) = ledgers.state().await;
        assert!(slices > 2 && is_used);
        node.write(&EventMaker::new(hours(8).before(Duration::from_secs(780)), 3).records(9)).await;
        ledgers.agree("events in recent slices").await;
        assert!(ledgers.state().await.2);
        let settled = hours(5).after(Duration::from_secs(300));
        node.write(&EventMaker::new(settled, 4).records(9)).await;
        ledgers.agree("events in settled slices").await;
        assert!(ledgers.state().await.2);
        // As retention does, which keeps the totals of days.
        tell(
            &store,
            "DELETE FROM usage_events WHERE id = (SELECT id FROM usage_events WHERE day = 20833 ORDER BY id LIMIT 1)",
        )
        .await;
        node.write(&recent.records(1)).await;
        ledgers.agree("a deletion").await;
        let (_, slices, is_used) = ledgers.state().await;
        assert_eq!((slices, is_used), (0, false), "the events are read");
        let new = Ledgers::new(&store, 7);
        new.kept.prepare().await.unwrap();
        assert!(!new.state().await.2);
    }
}

#[tokio::test]
async fn sums_of_a_day_are_prepared_before_the_first_request() {
    let place = Place::sqlite();
    let store = place.open().await;
    people(&store).await;
    let mut node = IngestNode::of(&store, place.folder.path()).await;
    node.write(&EventMaker::new(hours(5), 1).records(30)).await;
    let ledgers = Ledgers::new(&store, 4);
    ledgers.kept.prepare().await.unwrap();
    assert!(ledgers.state().await.2);
    ledgers.agree("the preparation").await;
    let cache = &ledgers.kept.sums;
    let with_bounds = SumsOf { of: UsageOf::All.into(), day: TODAY, input_tokens: vec![50, 1_000] };
    assert!(cache.of_day(TODAY).contains(&with_bounds));
    for back in 0..3 {
        let of = SumsOf { day: Day(TODAY.0 - back), ..with_bounds.clone() };
        assert_eq!(cache.read(&ledgers.plain, of).await.unwrap().is_some(), back == 0, "{back} days ago");
    }
    assert!(cache.days.lock().unwrap().len() <= DAYS_MAX);
}
