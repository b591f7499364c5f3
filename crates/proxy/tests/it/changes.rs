//! Changes of the day, the clock, a limit, the plan or a price during a request, of the configuration without one, and limits below
//! one request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use access::{Amount, Credits, Day, Ids, NanoUsd, Plan, PlanId, Timestamp, Tokens};
use http::{HeaderMap, Method, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use meter::{BudgetId, BudgetScope, LimitPeriod, Measure, UsageEvent};
use spool::Record;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::gateway::{Gateway, NOON, ReservationCounts, USER};
use crate::raw::{ClientResponse, Conn, Raw, got};

const CHAT: &str = "/v1/chat/completions";
/// The longest wait for a change of state.
const PATIENCE: Duration = Duration::from_secs(20);
const A_DAY: Duration = Duration::from_hours(24);
const DAY: Day = Day((NOON.0 / 86_400_000_000) as u32);

/// A provider whose streams end at once, or each at a call of the test, in the order in which they began.
struct Provider {
    raw: Raw,
    go_on: Arc<Semaphore>,
    holds: Arc<AtomicBool>,
}

impl Provider {
    async fn start() -> Self {
        let go_on = Arc::new(Semaphore::new(0));
        let holds = Arc::new(AtomicBool::new(false));
        let gate = Arc::clone(&go_on);
        let holding = Arc::clone(&holds);
        let raw = Raw::start(move |mut conn: Conn| {
            let gate = Arc::clone(&gate);
            let holding = Arc::clone(&holding);
            async move {
                while conn.head().await.is_some() {
                    let head =
                        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
                    let begin = r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"hi"}}]}"#;
                    let usage = r#"{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}"#;
                    let end = format!(r#"{{"id":"c","model":"m","choices":[],"usage":{usage}}}"#);
                    conn.say(format!("{head}{}", chunk(&format!("data: {begin}\n\n")))).await;
                    if holding.load(Ordering::Relaxed) {
                        gate.acquire().await.unwrap().forget();
                    }
                    let end = chunk(&format!("data: {end}\n\ndata: [DONE]\n\n"));
                    conn.say(format!("{end}0\r\n\r\n")).await;
                }
            }
        })
        .await;
        Self { raw, go_on, holds }
    }

    /// Returns a configuration with this provider, at this price in USD for a million tokens.
    fn yaml(&self, output: &str) -> String {
        let url = format!("http://{}", self.raw.address);
        format!(
            "providers: [{{name: far, kind: openai, base_url: \"{url}/v1\", credential: sk-far}}]\n\
             prices: [{{model: far/m, input: \"{output}\", output: \"{output}\"}}]\n"
        )
    }

    fn gateway(&self) -> Gateway {
        Gateway::plain(&self.yaml("1000"))
    }

    fn end_one(&self) {
        self.go_on.add_permits(1);
    }
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// A stream, or a refusal.
async fn begin(gateway: &Gateway) -> Response<Incoming> {
    let body =
        r#"{"model":"far/m","stream":true,"max_completion_tokens":50,"messages":[{"role":"user","content":"x"}]}"#;
    gateway.caller().send(Method::POST, CHAT, body).await
}

/// Begins a stream, whose first event is read. It continues when the test requests it.
async fn begun(gateway: &Gateway, provider: &Provider) -> Response<Incoming> {
    provider.holds.store(true, Ordering::Relaxed);
    let mut answer = begin(gateway).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.body_mut().frame().await.unwrap().unwrap().into_data().unwrap().starts_with(b"data: "));
    answer
}

/// A stream from begin to end.
async fn passes(gateway: &Gateway, provider: &Provider) {
    provider.holds.store(false, Ordering::Relaxed);
    let answer = begin(gateway).await;
    assert_eq!(answer.status(), 200);
    ends(answer).await;
}

async fn ends(answer: Response<Incoming>) {
    let rest = got(answer).await;
    assert!(rest.whole && rest.body.ends_with("data: [DONE]\n\n"), "{rest:?}");
}

/// A refusal, and its head.
async fn refused(gateway: &Gateway) -> (ClientResponse, HeaderMap) {
    let answer = begin(gateway).await;
    let headers = answer.headers().clone();
    let refusal = got(answer).await;
    refusal.is_refusal(429, "insufficient_quota");
    (refusal, headers)
}

fn message(refusal: &ClientResponse) -> String {
    let (_, rest) = refusal.body.split_once(r#""message":""#).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Returns the usage events of requests that reached the provider, in the order of their ends.
async fn served(gateway: &mut Gateway) -> Vec<UsageEvent> {
    let records = gateway.stop().await.into_iter();
    let ended = records.filter_map(|record| match record {
        Record::Close(event) | Record::Event(event) => Some(event),
        Record::Open(_) | Record::Counts { .. } | Record::CloseBatch { .. } => None,
    });
    ended.filter(|event| !event.attempts.is_empty()).collect()
}

fn plan(credits_per_day: u64) -> Arc<Plan> {
    Arc::new(Plan { credits_per_day: Some(Credits::whole(credits_per_day)), ..Plan::unlimited("some") })
}

fn of_user(measure: Measure) -> BudgetId {
    BudgetId { scope: BudgetScope::User(USER), measure, per: LimitPeriod::Day }
}

fn midnight_after(day: Day) -> Timestamp {
    day.next().start()
}

#[tokio::test]
async fn what_was_admitted_before_midnight_settles_on_its_own_day() {
    let provider = Provider::start().await;
    let mut gateway = provider.gateway();
    gateway.change(|of| (of.plan, of.budgets) = (plan(2), Arc::new([(of_user(Measure::Tokens), Amount(1_000))])));
    gateway.clock().jump(midnight_after(DAY).before(Duration::from_secs(1)));
    passes(&gateway, &provider).await;
    let over_midnight = begun(&gateway, &provider).await;
    refused(&gateway).await;
    gateway.clock().advance(Duration::from_secs(2));
    // The new day is whole, and what ends now takes nothing of it.
    passes(&gateway, &provider).await;
    provider.end_one();
    ends(over_midnight).await;
    passes(&gateway, &provider).await;
    let (refusal, headers) = refused(&gateway).await;
    assert_eq!(
        message(&refusal),
        "the day's quota of 2 credits is used up (2 credits used): it resets at midnight UTC"
    );
    assert_eq!(headers.get(header::RETRY_AFTER), None, "clients would wait for a day");
    let events = served(&mut gateway).await;
    let days: Vec<Day> = events.iter().map(|event| event.day).collect();
    assert_eq!(days, [DAY, DAY.next(), DAY, DAY.next()]);
    assert!(events.iter().all(|event| event.charge.tokens == Tokens(30)), "{events:?}");
    let cell = gateway.meter().counter(of_user(Measure::Tokens)).unwrap();
    assert_eq!((cell.period().first(), cell.used(), cell.spent()), (DAY.next(), Amount(60), Amount(60)));
}

#[tokio::test]
async fn a_clock_that_jumps_a_day_ahead_and_back_gives_no_day_twice() {
    let provider = Provider::start().await;
    let mut gateway = provider.gateway();
    gateway.change(|of| of.plan = plan(3));
    let today = NOON;
    let tomorrow = NOON.after(A_DAY);
    for _ in 0..2 {
        passes(&gateway, &provider).await;
    }
    gateway.clock().jump(tomorrow);
    for _ in 0..3 {
        passes(&gateway, &provider).await;
    }
    refused(&gateway).await;
    // Periods never go back: tomorrow has begun, and is used up, whatever the clock says now.
    for now in [
        today,
        today.before(A_DAY),
        Timestamp(0),
        tomorrow,
        midnight_after(DAY.next()).before(Duration::from_micros(1)),
    ] {
        gateway.clock().jump(now);
        let (refusal, _) = refused(&gateway).await;
        assert!(message(&refusal).contains("is used up (3 credits used)"), "{refusal:?}");
    }
    gateway.clock().jump(midnight_after(DAY.next()));
    for _ in 0..3 {
        passes(&gateway, &provider).await;
    }
    refused(&gateway).await;
    let events = served(&mut gateway).await;
    let on = |day: Day| events.iter().filter(|event| event.day == day).count();
    assert_eq!([DAY, DAY.next(), DAY.next().next()].map(on), [2, 3, 3]);
    assert_eq!(events.len(), 8);
}

#[tokio::test]
async fn a_limit_that_is_lowered_below_what_is_spent_refuses_and_what_is_under_way_goes_on() {
    let provider = Provider::start().await;
    let mut gateway = provider.gateway();
    let tokens = of_user(Measure::Tokens);
    gateway.change(|of| of.budgets = Arc::new([(tokens, Amount(100_000))]));
    passes(&gateway, &provider).await;
    let under_way = begun(&gateway, &provider).await;
    gateway.change(|of| of.budgets = Arc::new([(tokens, Amount(20))]));
    let held = gateway.meter().used(tokens, DAY).0;
    let (refusal, _) = refused(&gateway).await;
    assert_eq!(
        message(&refusal),
        format!("the day's budget of 20 tokens is used up ({held} tokens used): it resets at midnight UTC")
    );
    assert!(held > 30 + 50, "what is under way is in it: {held}");
    provider.end_one();
    ends(under_way).await;
    let (refusal, _) = refused(&gateway).await;
    assert!(message(&refusal).contains("is used up (60 tokens used)"), "{refusal:?}");
    // A raised limit applies at once, and the earlier usage still counts.
    gateway.change(|of| of.budgets = Arc::new([(tokens, Amount(10_000))]));
    passes(&gateway, &provider).await;
    assert_eq!((gateway.meter().used(tokens, DAY), gateway.meter().stats().totals().overrun_count), (Amount(90), 0));
    assert_eq!(gateway.ended(), ReservationCounts { released: 0, settled: 3, interrupted: 0 });
    assert_eq!(served(&mut gateway).await.len(), 3);
}

#[tokio::test]
async fn a_budget_that_returns_in_its_period_counts_the_usage_without_it() {
    let provider = Provider::start().await;
    let gateway = provider.gateway();
    let tokens = of_user(Measure::Tokens);
    gateway.change(|of| of.budgets = Arc::new([(tokens, Amount(100_000))]));
    passes(&gateway, &provider).await;
    gateway.change(|of| of.budgets = Arc::default());
    passes(&gateway, &provider).await;
    gateway.change(|of| of.budgets = Arc::new([(tokens, Amount(20))]));
    let (refusal, _) = refused(&gateway).await;
    assert!(message(&refusal).contains("is used up (60 tokens used)"), "{refusal:?}");
}

#[tokio::test]
async fn a_key_that_changes_plans_at_noon_keeps_its_users_quota_and_counts_in_its_plans_budget() {
    let provider = Provider::start().await;
    let mut gateway = provider.gateway();
    let mut ids = Ids::new(gateway.clock().clone());
    let starter = PlanId(ids.next_uuid());
    let team = PlanId(ids.next_uuid());
    let of_plan = |id| BudgetId::credits_a_day(BudgetScope::Plan(id));
    gateway.change(|of| {
        (of.plan, of.plan_id, of.budgets) =
            (plan(5), starter, Arc::new([(of_plan(starter), Measure::Credits.limit_of(100))]));
    });
    for _ in 0..3 {
        passes(&gateway, &provider).await;
    }
    let under_way = begun(&gateway, &provider).await;
    // A larger plan, whose users together have little left of their own.
    gateway.change(|of| {
        (of.plan, of.plan_id, of.budgets) = (plan(9), team, Arc::new([(of_plan(team), Measure::Credits.limit_of(2))]));
    });
    for _ in 0..2 {
        passes(&gateway, &provider).await;
    }
    let (refusal, _) = refused(&gateway).await;
    assert_eq!(
        message(&refusal),
        "the day's quota of credits for all users of this plan is used up: it resets at \
         midnight UTC"
    );
    provider.end_one();
    ends(under_way).await;
    let used = [of_plan(starter), of_plan(team), BudgetId::credits_a_day(BudgetScope::User(USER))];
    assert_eq!(
        used.map(|budget| gateway.meter().used(budget, DAY)),
        [4, 2, 6].map(|units| Measure::Credits.limit_of(units))
    );
    // The user's quota is the new plan's, over all of the day.
    gateway.change(|of| of.budgets = Arc::default());
    for _ in 0..3 {
        passes(&gateway, &provider).await;
    }
    let (refusal, _) = refused(&gateway).await;
    assert!(message(&refusal).starts_with("the day's quota of 9 credits is used up (9 credits used)"), "{refusal:?}");
    let events = served(&mut gateway).await;
    let of = |plan: PlanId| events.iter().filter(|event| event.subject.caller().unwrap().plan == plan).count();
    assert_eq!((of(starter), of(team)), (4, 5));
}

#[tokio::test]
async fn a_stream_costs_what_its_model_cost_when_it_was_admitted() {
    let provider = Provider::start().await;
    let mut gateway = provider.gateway();
    let money = of_user(Measure::Money);
    gateway.change(|of| of.budgets = Arc::new([(money, Amount(10_000_000_000))]));
    let under_way = begun(&gateway, &provider).await;
    let held = gateway.meter().used(money, DAY).0;
    gateway.reload(&provider.yaml("5000"));
    let dearer = begun(&gateway, &provider).await;
    let both = gateway.meter().used(money, DAY).0;
    assert_eq!(both - held, 5 * held, "five times the price reserves five times as much");
    for answer in [under_way, dearer] {
        provider.end_one();
        ends(answer).await;
    }
    assert_eq!(gateway.meter().used(money, DAY), Amount(30_000_000 + 150_000_000));
    let events = served(&mut gateway).await;
    let [first, second] = &events[..] else { panic!("{events:?}") };
    let costs = [first, second].map(|event| event.attempts[0].cost.unwrap());
    assert_eq!(costs, [NanoUsd(30_000_000), NanoUsd(150_000_000)]);
    assert_eq!([first, second].map(|event| event.charge.money), [30_000_000, 150_000_000].map(NanoUsd));
    let [before, after] = [first, second].map(|event| event.attempts[0].price_version.clone().unwrap());
    assert_ne!(before, after);
}

#[tokio::test]
async fn a_budget_below_one_request_says_how_much_that_is_and_holds_a_smaller_one() {
    let provider = Provider::start().await;
    let gateway = provider.gateway();
    for (measure, limit, expected) in [
        (
            Measure::Tokens,
            100,
            "this call may use up to 663 tokens, and 100 tokens are left of the day's budget of 100 tokens: \
            request less; it resets at midnight UTC",
        ),
        (
            Measure::Money,
            1_000_000,
            "this call may use up to 0.663 USD, and 0.001 USD is left of the day's budget of 0.001 USD: \
            request less; it resets at midnight UTC",
        ),
        (Measure::Tokens, 0, "the day's budget of 0 tokens allows only requests without a cost"),
        (Measure::Money, 0, "the day's budget of 0 USD allows only requests without a cost"),
        (Measure::Credits, 0, "the day's quota of 0 credits allows only requests without a cost"),
    ] {
        gateway.change(|of| of.budgets = Arc::new([(of_user(measure), Amount(limit))]));
        let (refusal, _) = refused(&gateway).await;
        assert_eq!(message(&refusal), expected, "{measure:?}");
        assert_eq!(gateway.meter().used(of_user(measure), DAY), Amount(0), "a refusal takes nothing");
    }
    assert!(provider.raw.asked().is_empty());
    // A free request is not checked against budgets.
    let models = gateway.caller().send(Method::GET, "/v1/models", "").await;
    assert_eq!(models.status(), 200);
}

#[tokio::test]
async fn a_price_of_zero_costs_a_true_zero_and_passes_where_no_money_is_left() {
    let provider = Provider::start().await;
    let mut gateway = Gateway::plain(&provider.yaml("0"));
    gateway.change(|of| of.budgets = Arc::new([(of_user(Measure::Money), Amount(0))]));
    for _ in 0..2 {
        passes(&gateway, &provider).await;
    }
    // Dearer from now on: nothing is left of nothing.
    gateway.reload(&provider.yaml("0.000001"));
    let (refusal, _) = refused(&gateway).await;
    assert_eq!(message(&refusal), "the day's budget of 0 USD allows only requests without a cost");
    assert_eq!(gateway.meter().stats().totals().overrun_count, 0);
    let events = served(&mut gateway).await;
    assert_eq!(events.len(), 2);
    for event in &events {
        assert_eq!(
            (event.attempts[0].cost, event.charge.money, event.charge.tokens),
            (Some(NanoUsd(0)), NanoUsd(0), Tokens(30))
        );
    }
}

#[tokio::test]
async fn workers_without_requests_free_a_replaced_snapshot() {
    let yaml = "ai: {enabled: false}\nroutes: [{path: {prefix: /}, upstreams: u}]\n\
        upstreams: [{name: u, backends: [{url: \"http://127.0.0.1:9\"}]}]\n";
    let gateway = Gateway::plain(yaml);
    let replaced = gateway.snapshot();
    assert!(replaced.upgrade().is_some());
    gateway.reload(yaml);
    let begin = Instant::now();
    while replaced.upgrade().is_some() {
        assert!(begin.elapsed() < PATIENCE, "the snapshot is in use");
        sleep(Duration::from_millis(5)).await;
    }
}
