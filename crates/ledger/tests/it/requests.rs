use access::{ApiKey, ClientProgram, Credits, LabelSet, NanoUsd, PlanId, RequestId, Timestamp, Tokens};
use ledger::{
    Ledger, REQUESTS_LOOKED_AT_MAX, RecordedLabels, RequestDetails, RequestFilter, RequestLine, RequestPlace,
    RequestSkip, UsageOf,
};
use meter::{
    Attempt, Caller, Charge, RequestOrigin, RequestResult, SkipReason, SkippedTarget, Source, ToolCalls, ToolUse,
    TraceId, UnknownCost, Usage, UsageEvent,
};
use spool::Record;
use store::{Actor, NewKey, Store};

use crate::usage_world::{attempt, caller};
use crate::world::{NOW, World, key, user};

fn time_at(seconds: u64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1_000_000)
}

/// A request of `caller` that begins `seconds` after now.
fn begun(world: &World, caller: Caller, seconds: u64) -> UsageEvent {
    UsageEvent { started_at: time_at(seconds), ..world.event(Some(caller)) }
}

/// A request that Tollgate refused before it was sent.
fn refused(world: &World, caller: Caller, seconds: u64) -> UsageEvent {
    UsageEvent {
        charge: Charge::default(),
        status: 429,
        attempts: Vec::new(),
        refusal: Some("quota_exceeded".into()),
        ..begun(world, caller, seconds)
    }
}

/// Returns the lines of all pages, in order; no page may exceed `limit`, and only the last may have no next page.
async fn all(store: &Store, caller: Caller, filter: &RequestFilter, limit: u32) -> Vec<RequestLine> {
    let mut lines = Vec::new();
    let mut after = None;
    loop {
        let page = Ledger::new(store.clone()).requests_page(caller.user, filter, after, limit).await.unwrap();
        assert!(page.lines.len() <= limit as usize);
        lines.extend(page.lines);
        match page.next {
            Some(next) => after = Some(next),
            None => return lines,
        }
    }
}

fn ids(lines: &[RequestLine]) -> Vec<RequestId> {
    lines.iter().map(|line| line.id).collect()
}

pub(crate) async fn requests_come_newest_first_and_each_once(world: &World) {
    let store = world.store().await;
    let ada = caller(&store, "ada@example.com").await;
    let bob = caller(&store, "bob@example.com").await;
    // Several requests have the same time: their ids distinguish them.
    let mut events: Vec<UsageEvent> = (0..25).map(|nth| begun(world, ada, nth / 10)).collect();
    let others = (0..25).map(|nth| begun(world, bob, nth));
    world.ingest(&store, &others.chain(events.clone()).map(Record::Event).collect::<Vec<_>>()).await;
    events.sort_by_key(|event| std::cmp::Reverse((event.started_at, event.id)));
    let expected: Vec<RequestId> = events.iter().map(|event| event.id).collect();
    for limit in [1, 4, 24, 25, 26, 200] {
        assert_eq!(ids(&all(&store, ada, &RequestFilter::default(), limit).await), expected, "{limit}");
    }
    // Requests that arrive meanwhile are newer than the reader's place.
    let first = Ledger::new(store.clone()).requests_page(ada.user, &RequestFilter::default(), None, 10).await.unwrap();
    world.ingest(&store, &[Record::Event(begun(world, ada, 9))]).await;
    let second =
        Ledger::new(store.clone()).requests_page(ada.user, &RequestFilter::default(), first.next, 200).await.unwrap();
    assert_eq!(ids(&second.lines), expected[10..]);
}

pub(crate) async fn requests_are_chosen_by_key_model_status_and_time(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let [(_, first), (_, second)] = [key(&store, user.id).await, key(&store, user.id).await];
    let one = Caller { user: user.no, key: first.no, plan: PlanId::NIL };
    let two = Caller { user: user.no, key: second.no, plan: PlanId::NIL };
    let failed = UsageEvent { status: 503, model: Some("fast".into()), ..begun(world, two, 3) };
    let events = [begun(world, one, 1), begun(world, two, 2), failed, refused(world, one, 4)];
    let id = events.clone().map(|event| event.id);
    world.ingest(&store, &events.map(Record::Event)).await;
    let check = async |filter: RequestFilter, expected: &[RequestId]| {
        assert_eq!(ids(&all(&store, one, &filter, 1).await), expected, "{filter:?}");
    };
    let any = RequestFilter::default;
    check(any(), &[id[3], id[2], id[1], id[0]]).await;
    check(RequestFilter { key: Some(first.no), ..any() }, &[id[3], id[0]]).await;
    check(RequestFilter { model: Some("fast".into()), ..any() }, &[id[2]]).await;
    check(RequestFilter { model: Some("nobody's".into()), ..any() }, &[]).await;
    check(RequestFilter { model: Some("\0'; --".into()), ..any() }, &[]).await;
    check(RequestFilter { status: Some((429, 429)), ..any() }, &[id[3]]).await;
    check(RequestFilter { status: Some((200, 299)), key: Some(second.no), ..any() }, &[id[1]]).await;
    check(RequestFilter { status: Some((400, 599)), ..any() }, &[id[3], id[2]]).await;
    let of = |result| RequestFilter { result: Some(result), ..any() };
    check(of(RequestResult::Succeeded), &[id[1], id[0]]).await;
    check(of(RequestResult::Refused), &[id[3]]).await;
    check(of(RequestResult::Failed), &[id[2]]).await;
    check(RequestFilter { since: Some(time_at(2)), until: Some(time_at(4)), ..any() }, &[id[2], id[1]]).await;
    check(RequestFilter { since: Some(time_at(4)), until: Some(time_at(2)), ..any() }, &[]).await;
    check(RequestFilter { since: Some(Timestamp(u64::MAX)), ..any() }, &[]).await;
    let nowhere = RequestPlace { at: Timestamp(0), id: uuid::Uuid::nil() };
    assert!(
        Ledger::new(store.clone()).requests_page(user.no, &any(), Some(nowhere), 10).await.unwrap().lines.is_empty()
    );
}

pub(crate) async fn counts_that_are_stored_later_are_listed_by_their_minute(world: &World) {
    let store = world.store().await;
    let ada = caller(&store, "ada@example.com").await;
    let Record::Counts { id, mut counts } = world.counts(Some(ada), 3) else { panic!("not counts") };
    counts.iter_mut().for_each(|counts| counts.minute -= 10);
    world.ingest(&store, &[Record::Counts { id, counts }]).await;
    let listed = async |of: UsageOf, key, until: u64| {
        let until = Some(Timestamp(NOW.0 - until * 60_000_000));
        let filter = RequestFilter { key, until, ..RequestFilter::default() };
        let mut after = None;
        let mut count = 0;
        loop {
            let page = Ledger::new(store.clone()).requests_page(of, &filter, after, 1).await.unwrap();
            count += page.lines.len();
            match page.next {
                Some(next) => after = Some(next),
                None => return count,
            }
        }
    };
    for of in [UsageOf::All, UsageOf::from(ada.user)] {
        for key in [None, Some(ada.key)] {
            assert_eq!(listed(of, key, 5).await, 2, "{of:?}");
            assert_eq!(listed(of, key, 10).await, 0, "{of:?}");
        }
    }
}

pub(crate) async fn names_with_letters_outside_ascii_are_found(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let secret = ApiKey::generate("tollgate").unwrap();
    let key = store.create_key(&Actor::COMMAND, NewKey::unbounded(user.id, "Ölpumpe", &secret)).await.unwrap();
    let caller = Caller { user: user.no, key: key.no, plan: PlanId::NIL };
    world.ingest(&store, &[Record::Event(refused(world, caller, 1)), world.counts(Some(caller), 2)]).await;
    for (text, count) in [("Ölpumpe", 3), ("ÖLPUMPE", 3), ("Ölpumpen", 0), ("QUOTA_exceeded", 1), ("QUOTAxexceeded", 0)]
    {
        let filter = RequestFilter { text: Some(text.to_owned()), ..RequestFilter::default() };
        assert_eq!(all(&store, caller, &filter, 1).await.len(), count, "{text}");
    }
}

pub(crate) async fn a_page_looks_at_so_many_rows_and_no_more(world: &World) {
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    let odd = |nth: u64| UsageEvent { status: 204, ..begun(world, caller, nth) };
    let many = u64::from(REQUESTS_LOOKED_AT_MAX);
    // The second oldest, and the second newest.
    let events = (0..many + 100).map(|nth| match nth {
        1 => odd(nth),
        3 => UsageEvent { status: 404, ..begun(world, caller, nth) },
        nth if nth == many + 98 => odd(nth),
        nth => UsageEvent { attempts: Vec::new(), ..begun(world, caller, nth) },
    });
    world.ingest(&store, &events.map(Record::Event).collect::<Vec<_>>()).await;
    let filter = RequestFilter { status: Some((204, 204)), ..RequestFilter::default() };
    let page = Ledger::new(store.clone()).requests_page(caller.user, &filter, None, 50).await.unwrap();
    assert_eq!((page.lines.len(), page.next.map(|next| next.at)), (1, Some(time_at(100))));
    let rest = Ledger::new(store.clone()).requests_page(caller.user, &filter, page.next, 50).await.unwrap();
    assert_eq!((rest.lines.len(), rest.next, rest.lines[0].started_at), (1, None, time_at(1)));
    // An index finds requests that were refused or have failed, so that no other event is scanned.
    let failed = RequestFilter { result: Some(RequestResult::Failed), ..RequestFilter::default() };
    let not_found = RequestFilter { status: Some((404, 404)), ..RequestFilter::default() };
    for (of, filter) in
        [UsageOf::User(caller.user), UsageOf::All].into_iter().flat_map(|of| [(of, &failed), (of, &not_found)])
    {
        let page = Ledger::new(store.clone()).requests_page(of, filter, None, 50).await.unwrap();
        assert_eq!((page.lines.len(), page.next, page.lines[0].started_at), (1, None, time_at(3)));
    }
    // A full page continues where it ended.
    let page = Ledger::new(store.clone())
        .requests_page(caller.user, &RequestFilter { status: Some((200, 200)), ..filter }, None, 5)
        .await;
    assert_eq!(page.unwrap().next.map(|next| next.at), Some(time_at(many + 94)));
}

pub(crate) async fn a_request_is_told_in_full(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let (_, key) = key(&store, user.id).await;
    let caller = Caller { user: user.no, key: key.no, plan: PlanId::NIL };
    let failed =
        Attempt { status: Some(500), usage: None, cost: None, price_version: None, answered_model: None, ..attempt() };
    let failed = Attempt { unknown: Some(UnknownCost::NoUsage), ..failed };
    let charge = Charge { credits: Credits::whole(1), tokens: Tokens(70), ..Charge::money(NanoUsd(9_000)) };
    let skip = |provider: &str, reason, attempts_before| SkippedTarget {
        provider: provider.into(),
        model: "gpt".into(),
        reason,
        attempts_before,
    };
    let origin = RequestOrigin {
        trace: Some(TraceId(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes())),
        skipped: vec![skip("openai", SkipReason::Cooldown, 0), skip("backup", SkipReason::Connect, 1)],
        labels: LabelSet::of_text("team=payments,tier=gold"),
        client: ClientProgram::Codex,
        tools: ToolUse::Called,
        ..RequestOrigin::default()
    };
    let twice = UsageEvent { attempts: vec![failed.clone(), attempt()], charge, origin, ..begun(world, caller, 1) };
    let once = begun(world, caller, 2);
    let never = refused(world, caller, 3);
    world.ingest(&store, &[twice.clone(), once.clone(), never.clone()].map(Record::Event)).await;

    let found = Ledger::new(store.clone()).find_request(user.no, once.id).await.unwrap().unwrap();
    let RequestDetails { line, attempts, skipped, trace, labels, .. } = found;
    assert_eq!((skipped, trace, labels.as_str()), (Vec::new(), None, ""));
    let usage: Option<Usage> = attempt().usage;
    assert_eq!((line.usage, line.cost, line.unpriced, line.attempts), (usage, Some(NanoUsd(1_000)), false, 1));
    let told =
        (line.key.unwrap(), line.route.unwrap(), line.format.unwrap(), line.model.unwrap(), line.provider.unwrap());
    assert_eq!((told.0.id, told.0.label.as_str(), told.0.last4), (key.id, "laptop", key.last4));
    assert_eq!((told.1.as_str(), told.2.as_str(), told.3.as_str(), told.4.as_str()), ("ai", "chat", "mock", "mock"));
    assert_eq!(
        (line.started_at, line.status, line.outcome.as_str(), line.refusal),
        (time_at(2), 200, "completed", None)
    );
    assert_eq!((line.request_bytes, line.response_bytes, line.duration_us), (1_024, 2_048, 1_000));
    let [only] = attempts.as_slice() else { panic!("{attempts:?}") };
    assert_eq!((only.usage, only.cost, only.status), (usage, Some(NanoUsd(1_000)), Some(200)));
    let names = [&only.provider, &only.model, &only.answered_model, &only.upstream_id, &only.price_version];
    assert_eq!(names.map(|name| name.as_deref().unwrap()), ["mock", "mock-1", "mock-1-2026", "req_1", "2026-11"]);
    assert_eq!((only.first_byte_us, only.duration_us), (Some(500), 900));

    let found = Ledger::new(store.clone()).find_request(user.no, twice.id).await.unwrap().unwrap();
    let RequestDetails { line, attempts, skipped, trace, labels, tools } = found;
    assert_eq!(labels, RecordedLabels::Set(LabelSet::of_text("team=payments,tier=gold")));
    assert_eq!((line.program, tools), (Some(ClientProgram::Codex), Some(ToolUse::Called)));
    assert_eq!(line.answered_model.as_deref(), Some("mock-1-2026"));
    let skip = |provider: &str, reason: &str, attempts_before| RequestSkip {
        provider: provider.into(),
        model: "gpt".into(),
        reason: reason.into(),
        attempts_before,
    };
    assert_eq!(skipped, [skip("openai", "cooldown", 0), skip("backup", "connect", 1)]);
    assert_eq!(trace.unwrap().to_string(), "0af7651916cd43dd8448eb211c80319c");
    // The cost of the failed attempt is unknown.
    assert_eq!((line.attempts, line.cost, line.unpriced), (2, Some(NanoUsd(1_000)), true));
    assert_eq!((line.unknown.as_deref(), line.charged), (Some("no_usage"), (Tokens(70), NanoUsd(9_000))));
    let reasons: Vec<_> = attempts.iter().map(|attempt| attempt.unknown.as_deref()).collect();
    assert_eq!(reasons, [Some("no_usage"), None]);
    let said: Vec<_> = attempts.iter().map(|attempt| (attempt.status, attempt.cost, attempt.usage)).collect();
    assert_eq!(said, [(Some(500), None, None), (Some(200), Some(NanoUsd(1_000)), usage)]);

    let found = Ledger::new(store.clone()).find_request(user.no, never.id).await.unwrap().unwrap();
    let RequestDetails { line, attempts, .. } = found;
    assert_eq!(
        (line.refusal.as_deref(), line.credits, line.usage, line.cost),
        (Some("quota_exceeded"), Credits::whole(0), None, None)
    );
    assert_eq!((line.unpriced, line.first_byte_us, attempts), (false, None, Vec::new()));
}

pub(crate) async fn figures_come_back_as_they_were(world: &World) {
    let store = world.store().await;
    let caller = caller(&store, "ada@example.com").await;
    let billed = meter::BilledQuantity { unit: meter::Unit::Millisecond, quantity: 9 };
    for source in Source::ALL {
        let usage = Usage {
            input: Some(Tokens(0)),
            audio_input: Some(Tokens(1)),
            image_output: Some(Tokens(2)),
            billed: Some(billed),
            tools: ToolCalls { searches: Some(3), maps_prompts: Some(1), containers: Some(4), ..ToolCalls::default() },
            ..Usage::empty(source)
        };
        let event =
            UsageEvent { attempts: vec![Attempt { usage: Some(usage), ..attempt() }], ..begun(world, caller, 0) };
        world.ingest(&store, &[Record::Event(event.clone())]).await;
        let found = Ledger::new(store.clone()).find_request(caller.user, event.id).await.unwrap().unwrap();
        let RequestDetails { line, attempts, .. } = found;
        assert_eq!((line.usage, attempts[0].usage), (Some(usage), Some(usage)));
    }
}

pub(crate) async fn anothers_request_is_not_there(world: &World) {
    let store = world.store().await;
    let ada = caller(&store, "ada@example.com").await;
    let bob = caller(&store, "bob@example.com").await;
    let event = begun(world, ada, 0);
    let open = world.event(None);
    world.ingest(&store, &[event.clone(), open.clone()].map(Record::Event)).await;
    assert!(Ledger::new(store.clone()).find_request(ada.user, event.id).await.unwrap().is_some());
    for (user, id) in [(bob.user, event.id), (bob.user, open.id), (ada.user, world.id())] {
        assert_eq!(Ledger::new(store.clone()).find_request(user, id).await.unwrap(), None);
    }
}
