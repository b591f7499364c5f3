use std::path::PathBuf;
use std::time::Duration;

use access::{Budget, BudgetScope, Credits, KeyNo, LimitPeriod, Measure, PlanId, Secret, UserNo};
use meter::Caller;

use super::*;
use crate::snapshot::{Action, Auth, Credential, Events, LogFormat, PathMatch, SignupMode, Traffic, UnboundedCalls};

mod actions;
mod ambiguous_paths;
mod auth;
mod bounds;
mod charged_models;
mod client_tls;
mod control;
mod cors;
mod credits;
mod discovery;
mod errors;
mod header_rules;
mod insights;
mod listed;
mod listen;
mod matches;
mod offered_providers;
mod plan_models;
mod price_file;
mod providers;
mod quotas;
mod rate_limits;
mod rewrites;
mod routes;
mod several_matches;
mod shared_caches;
mod short_forms;
mod suggestions;
mod targets;
mod trusted_headers;
mod upstreams;

fn environment() -> Environment {
    Environment::from_variables([("PORT", "9000"), ("SECRET", "S3CRET value")])
}

fn read_text(source: &str) -> Result<LoadedConfig, ConfigError> {
    read_with(source, &environment())
}

fn read_with(source: &str, environment: &Environment) -> Result<LoadedConfig, ConfigError> {
    let loaded = load_text("t.yaml", source, Sources { file: None, environment, flags: Flags::default() });
    crate::schema::tests::check_schema(source, loaded.as_ref().err());
    loaded
}

fn snapshot(source: &str) -> Snapshot {
    read_text(source).unwrap_or_else(|error| panic!("{error}")).snapshot
}

#[test]
fn control_may_have_the_default_address_of_the_proxy() {
    // A process with the role `control` does not listen for the proxy.
    assert_eq!(snapshot("control: {listen: 127.0.0.1:8080}").process.control.listen, "127.0.0.1:8080".parse().unwrap());
}

#[test]
fn nothing_at_all_gives_the_defaults() {
    let none = Environment::default();
    let loaded = load(Sources { file: None, environment: &none, flags: Flags::default() }).unwrap();
    let snapshot = loaded.snapshot;
    assert_eq!(
        (snapshot.process.brand.name.as_str(), snapshot.process.brand.key_prefix.as_str()),
        ("Tollgate", "tollgate")
    );
    assert_eq!(snapshot.process.listen[0].address, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(snapshot.process.control.listen, "127.0.0.1:8787".parse().unwrap());
    assert_eq!(snapshot.process.data, PathBuf::from("./tollgate-data"));
    assert_eq!(
        (snapshot.traffic.timeouts.first_byte, snapshot.traffic.timeouts.total),
        (Duration::from_secs(60), Some(Duration::from_secs(900)))
    );
    let ai = snapshot.traffic.ai.unwrap();
    assert_eq!(
        (ai.prefix.as_str(), ai.timeouts.first_byte, ai.timeouts.total),
        ("", Duration::from_secs(600), Some(Duration::from_secs(1_800)))
    );
    assert_eq!(snapshot.traffic.sizes.body_bytes_max, 32 << 20);
    let plans: Vec<_> = snapshot
        .traffic
        .plans
        .iter()
        .map(|plan| {
            (
                plan.name.as_str(),
                plan.credits_per_day.map(access::Credits::rounded_down),
                plan.requests_per_minute.map(std::num::NonZeroU32::get),
            )
        })
        .collect();
    let expected = [
        ("starter", Some(1_000), Some(60)),
        ("pro", Some(10_000), Some(300)),
        ("business", Some(100_000), Some(3_000)),
    ];
    assert_eq!(plans, expected);
    assert!(
        snapshot.traffic.mock.on
            && !snapshot.traffic.mock.forced
            && snapshot.traffic.providers.is_empty()
            && loaded.notes.is_empty()
    );
}

#[test]
fn an_empty_file_and_empty_sections_are_the_defaults_too() {
    for source in ["", "# nothing\n", "\u{feff}brand:\n", "providers:\nmodels:\nroutes:\nplans:\ntimeouts: {}\n"] {
        let snapshot = snapshot(source);
        assert_eq!(
            (snapshot.process.brand.name.as_str(), snapshot.traffic.plans.len(), snapshot.traffic.mock.on),
            ("Tollgate", 3, true),
            "{source}"
        );
    }
    assert!(snapshot("plans: []").traffic.plans.is_empty());
}

#[test]
fn an_address_may_have_a_part_of_the_requests_in_flight_and_some_in_any_case() {
    let share = |in_flight: u32| snapshot(&format!("in_flight: {in_flight}")).process.connections.in_flight_per_address;
    assert_eq!([1, 100, 200, 1_024, 10_000].map(share), [1, 50, 64, 64, 625]);
}

#[test]
fn values_of_the_file_arrive() {
    let snapshot = snapshot(
        "
listen:
  - {address: '0.0.0.0:${PORT}'}
  - {address: '[::1]:9001'}
control: {listen: 127.0.0.1:0}
brand: {name: Codexible, key_prefix: codexible}
workers: 3
in_flight: '70'
connections: {max: '5', per_address: 2, in_flight_per_key: 3, in_flight_anonymous: 7}
drain: {delay: 0s, timeout: 1m}
log: {format: text, level: debug, modules: {proxy: trace, 'ledger::ingest': warn}}
store: {url: '', migrate: false, stale_for: 2h}
spool: {max_size: 64MiB}
timeouts: {connect: 250ms, idle: 5s}
sizes: {headers: 8KiB, body: 1GiB, buffered: 2GiB}
ai: {prefix: /llm/, timeouts: {total: 1h}}
plans: [{name: free, credits_per_day: 0}, {name: all}]
",
    );
    let listen: Vec<_> = snapshot.process.listen.iter().map(|listener| listener.address.to_string()).collect();
    assert_eq!(listen, ["0.0.0.0:9000", "[::1]:9001"]);
    assert_eq!((snapshot.process.connections.max, snapshot.process.connections.per_address), (5, 2));
    assert_eq!(snapshot.process.connections.in_flight_per_key, 3);
    let connections = snapshot.process.connections;
    assert_eq!((connections.in_flight_per_address, connections.in_flight_anonymous), (70 / 2, 7));
    assert_eq!((snapshot.process.workers, snapshot.process.in_flight_max), (Some(3), 70));
    assert_eq!(
        (snapshot.process.drain.delay, snapshot.process.drain.timeout),
        (Duration::ZERO, Duration::from_secs(60))
    );
    assert_eq!((snapshot.process.log.format, snapshot.process.log.level), (Some(LogFormat::Text), "debug"));
    assert_eq!(snapshot.process.log.modules, [("proxy".to_owned(), "trace"), ("ledger::ingest".to_owned(), "warn")]);
    assert!(
        !snapshot.process.store.migrate
            && snapshot.process.store.url.is_none()
            && snapshot.process.store.stale_for == Duration::from_secs(7_200)
    );
    assert_eq!(
        (
            snapshot.process.spool.max_size,
            snapshot.traffic.sizes.headers_bytes_max,
            snapshot.traffic.sizes.body_bytes_max
        ),
        (64 << 20, 8_192, 1 << 30)
    );
    let ai = snapshot.traffic.ai.unwrap();
    assert_eq!(
        (ai.prefix.as_str(), ai.timeouts.connect, ai.timeouts.idle),
        ("/llm", Duration::from_millis(250), Duration::from_secs(600))
    );
    assert_eq!(
        (ai.timeouts.first_byte, ai.timeouts.total),
        (Duration::from_secs(600), Some(Duration::from_secs(3_600)))
    );
    assert_eq!(
        (snapshot.traffic.plans[0].credits_per_day, snapshot.traffic.plans[1].credits_per_day),
        (Some(Credits::whole(0)), None)
    );
}

#[test]
fn budgets_hold_whom_their_dimension_says() {
    let source = "
plans: [{name: pro, budgets: [{tokens: 9, per: month}, {money: 0.50 USD, per: day}]}]
budgets:
  limits:
    - {dimension: key, credits: 0, per: day}
    - {dimension: user, money: 9223372036.854775807 USD, per: month}
    - {dimension: plan, tokens: 7, per: day}
    - {dimension: global, money: '5000 USD', per: month}
  unbounded: window
  clamp: true
  server_tool_rounds: 1000
";
    let Traffic { plans, budgets, .. } = snapshot(source).traffic;
    let budget = |measure: Measure, per, units| Budget::new(measure, per, measure.limit_of(units));
    let of_plan =
        [budget(Measure::Tokens, LimitPeriod::Month, 9), budget(Measure::Money, LimitPeriod::Day, 500_000_000)];
    assert_eq!(plans[0].budgets, of_plan);
    let caller = Caller { user: UserNo(1), key: KeyNo(2), plan: PlanId::NIL };
    let expected = [
        budget(Measure::Credits, LimitPeriod::Day, 0).id_and_amount(BudgetScope::Key(KeyNo(2))),
        budget(Measure::Money, LimitPeriod::Month, Budget::AMOUNT_MAX.0).id_and_amount(BudgetScope::User(UserNo(1))),
        budget(Measure::Tokens, LimitPeriod::Day, 7).id_and_amount(BudgetScope::Plan(PlanId::NIL)),
        budget(Measure::Money, LimitPeriod::Month, 5_000_000_000_000).id_and_amount(BudgetScope::Global),
    ];
    assert_eq!(budgets.for_caller(caller).collect::<Vec<_>>(), expected);
    assert_eq!((budgets.unbounded, budgets.clamp, budgets.server_tool_rounds), (UnboundedCalls::Window, true, 1_000));
    let none = snapshot("").traffic.budgets;
    assert_eq!((none.limits.len(), none.unbounded, none.clamp), (0, UnboundedCalls::Refuse, false));
    assert_eq!(none.server_tool_rounds, 1);
}

#[test]
fn routes_know_their_upstream_and_the_defaults() {
    let snapshot = snapshot(
        "
upstreams: [{name: users, backends: [{url: 'http://127.0.0.1:9001/base/', weight: 1}]}]
routes:
  - {path: /a, upstreams: users}
  - {name: b, path: {prefix: /b/}, methods: [GET, PURGE], auth: {type: none}, credits: 0, events: rows, upstreams: users}
  - {path: {prefix: /}, upstreams: users}
ai: {enabled: false}
",
    );
    assert!(snapshot.traffic.ai.is_none() && !snapshot.traffic.mock.on);
    let routes = snapshot.traffic.router.routes();
    assert_eq!(
        (&*routes[0].policy.name, routes[0].policy.credits.rounded_down(), routes[0].policy.events),
        ("/a", 1, Events::Folded)
    );
    assert!(matches!(routes[0].policy.auth, Auth::Key) && matches!(routes[1].policy.auth, Auth::None));
    let Action::Forward(upstream) = &routes[0].action else { panic!("the route has an upstream") };
    assert_eq!(upstream.backends()[0].origin.path, "/base");
    assert_eq!(
        (&*routes[1].policy.name, routes[1].policy.credits.rounded_down(), routes[1].policy.events),
        ("b", 0, Events::Rows)
    );
    assert_eq!(
        (&routes[1].matches.path, routes[1].matches.methods.join(" ")),
        (&PathMatch::Prefix("/b".to_owned()), "GET PURGE".to_owned())
    );
    assert_eq!((&*routes[2].policy.name, &routes[2].matches.path), ("/", &PathMatch::Prefix(String::new())));
}

#[test]
fn flags_win_over_the_file() {
    let flags = Flags {
        data: Some("/d".into()),
        listen: Some("127.0.0.1:1".parse().unwrap()),
        addr: Some("127.0.0.1:2".parse().unwrap()),
        examples_dir: Some("/x".into()),
        mock: false,
        log: Some(LogFormat::Json),
        workers: Some(4),
    };
    let source = "data: /e\nworkers: 3\nlisten: 127.0.0.1:3\ncontrol: {listen: 127.0.0.1:3}\nlog: {format: text}\n";
    let snapshot =
        load_text("t.yaml", source, Sources { file: None, environment: &environment(), flags }).unwrap().snapshot;
    assert_eq!((snapshot.process.data, snapshot.process.log.format), (PathBuf::from("/d"), Some(LogFormat::Json)));
    assert_eq!(snapshot.process.workers, Some(4));
    assert_eq!(
        (snapshot.process.listen[0].address.clone(), snapshot.process.control.listen.clone()),
        ("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap())
    );
}

#[test]
fn machines_meet_the_brand_under_its_own_name() {
    fn check(brand: &str, slug: &str, variable: &str) {
        let snapshot = snapshot(&format!("brand: {brand}\n"));
        assert_eq!(
            (snapshot.process.brand.slug(), snapshot.process.brand.key_variable().as_str()),
            (slug, variable),
            "{brand}"
        );
    }
    check("{}", "tollgate", "TOLLGATE_KEY");
    check("{name: Codexible}", "codexible", "CODEXIBLE_KEY");
    check("{name: Ada & Co. 2}", "adaco2", "ADACO2_KEY");
    check("{name: 4ever}", "4ever", "_4EVER_KEY");
    check("{name: Ключ}", "gateway", "GATEWAY_KEY");
    check("{name: Codexible, key_prefix: cx}", "cx", "CX_KEY");
    check(&format!("{{name: {}}}", "Ab".repeat(32)), &"ab".repeat(16), &format!("{}_KEY", "AB".repeat(16)));
}

#[test]
fn rows_of_usage_are_kept_for_90_days_unless_the_file_says_otherwise() {
    let kept = |source: &str| {
        let loaded = read_text(source);
        loaded.unwrap().snapshot.process.retention.events.map(|kept| kept.as_secs() / 86_400)
    };
    for source in ["", "retention:", "retention: {}", "retention: {events: 90d}", "retention: {events: 2160h}"] {
        assert_eq!(kept(source), Some(90), "{source}");
    }
    assert_eq!((kept("retention: {events: 1d}"), kept("retention: {events: forever}")), (Some(1), None));
}

#[test]
fn the_environment_chooses_the_store_before_the_file() {
    let loaded = |variable: Option<&'static str>, source: &str| {
        read_with(source, &Environment::from_variables(variable.map(|value| ("DATABASE_URL", value))))
    };
    let env = "postgres://u:S3CRET@env/d";
    let file = "postgresql://u:S3CRET@file/d";
    let in_file = format!("store: {{url: '{file}'}}");
    for (variable, source, expected, noted) in [
        (None, "", None, false),
        (Some(""), "store: {url: ''}", None, false),
        (None, in_file.as_str(), Some(file), false),
        (Some(env), "", Some(env), false),
        (Some(env), in_file.as_str(), Some(env), true),
        (Some(env), "store: {url: '${DATABASE_URL:-}'}", Some(env), false),
        (None, "store: {url: '${DATABASE_URL:-}'}", None, false),
    ] {
        let loaded = loaded(variable, source).unwrap();
        assert_eq!(loaded.snapshot.process.store.url.as_ref().map(Secret::expose), expected, "{variable:?} {source}");
        assert_eq!(
            loaded.notes.iter().any(|note| matches!(note, Note::StoreFromEnvironment { .. })),
            noted,
            "{variable:?} {source}"
        );
    }
    for (variable, source) in [
        (Some("mysql://u:S3CRET@h/d"), ""),
        (Some("S3CRET"), "brand: {name: A}"),
        (None, "store: {url: 'sqlite:/S3CRET'}"),
        (Some("mysql://u:S3CRET@h/d"), "store: {url: '${DATABASE_URL}'}"),
    ] {
        let error = loaded(variable, source).unwrap_err().to_string();
        assert!(error.contains("bad_value") && error.contains("postgres://USER"), "{error}");
        assert_eq!(error.contains("S3CRET"), variable.is_none(), "a value of the environment is not repeated: {error}");
    }
}

#[test]
fn what_people_meet_is_read() {
    let loaded = read_text(
        "
public_url: {proxy: 'https://LLM.example.com/v/', control: 'http://[::1]:8787/'}
signup: invite
signup_plan: free
metrics: {token: '${PORT}'}
plans: [{name: free}]
",
    )
    .unwrap();
    let snapshot = loaded.snapshot;
    assert_eq!(snapshot.process.public_url.proxy.as_deref(), Some("https://llm.example.com/v"));
    assert_eq!(snapshot.process.public_url.control.as_deref(), Some("http://[::1]:8787"));
    assert_eq!(snapshot.process.control_url(&"0.0.0.0:1".parse().unwrap()), "http://[::1]:8787");
    assert_eq!((snapshot.traffic.signup.mode, snapshot.traffic.signup.plan.as_str()), (SignupMode::Invite, "free"));
    assert_eq!(snapshot.process.metrics.token.as_ref().map(Secret::expose), Some("9000"));
    assert_eq!(loaded.notes, []);
    let empty = read_text("public_url: {proxy: ''}\nmetrics: {token: '${UNSET:-}'}\n").unwrap().snapshot;
    assert!(empty.process.public_url.proxy.is_none() && empty.process.metrics.token.is_none());
    for (listen, url) in
        [("0.0.0.0:1", "http://localhost:1"), ("[::]:2", "http://localhost:2"), ("[::1]:3", "http://[::1]:3")]
    {
        assert_eq!(empty.process.control_url(&listen.parse().unwrap()), url);
    }
    assert_eq!((empty.traffic.signup.mode, empty.traffic.signup.plan.as_str()), (SignupMode::Closed, "starter"));
}

#[test]
fn a_signup_plan_of_the_store_alone_is_noted_where_somebody_may_sign_up() {
    let notes = |source: &str| read_text(source).unwrap().notes;
    assert_eq!(notes("signup_plan: gone"), []);
    assert_eq!(notes("signup: open\nsignup_plan: gone"), [Note::SignupPlanElsewhere { plan: "gone".to_owned() }]);
    for bad in [
        "signup: everybody",
        "signup_plan: A b",
        "public_url: {control: 'https://a.example/x'}",
        "metrics: {token: a b}",
    ] {
        let error = read_text(bad).unwrap_err();
        assert_eq!(error.problems[0].code, Code::BadValue, "{error}");
    }
}

#[test]
fn a_file_cut_anywhere_is_answered() {
    let whole = include_str!("../../tests/fixtures/now.yaml");
    let mut refused = 0;
    for end in (0..whole.len()).step_by(17) {
        let cut = whole.get(..end).unwrap();
        let environment = environment();
        let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
        if let Err(error) = load_text("t.yaml", cut, sources) {
            refused += 1;
            assert!(
                !error.problems.is_empty() && error.problems.iter().all(|problem| problem.place.is_some()),
                "{error}"
            );
        }
    }
    assert!(refused > 20, "{refused}");
}
