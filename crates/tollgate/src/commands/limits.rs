//! `tollgate limits`: each limit with its maximum overshoot and the amount that may become unusable, for the running
//! servers, and the clients without a user that have used the most of their quotas.

mod quotas;
mod reasons;
mod table;

use std::num::NonZeroU32;
use std::process::ExitCode;

use access::{Amount, BudgetScope, Credits, Measure, Plan};
use cluster::Cluster;
use config::Flags;
use config::Snapshot;
use config::snapshot::{BudgetDimension, Dimension, LimitSubject, LimitTier, RateLimit, Unbounded, WindowLimit};
use meter::limiter::{LimitTerms, RequestTerms};
use meter::rate::Rate;
use serde_json::{Value, json};
use store::{BoundKeys, Store};

use crate::cli::Limits;
use crate::commands::{block_on, last4, load, open, printable};
use crate::failure;
use crate::terminal;
use crate::terminal::say;
use quotas::UsedQuota;
use reasons::ReasonedAmount;

/// Runs the command against the store.
pub(crate) fn run(args: &Limits) -> anyhow::Result<ExitCode> {
    let snapshot = load(&args.place, &Flags { workers: args.workers, ..Flags::default() })?.snapshot;
    block_on(async {
        let store = open(&snapshot.process).await?;
        let read = read(&store, &snapshot).await;
        let used = quotas::read(&store, &snapshot).await;
        store.close().await;
        let ((topology, lines), used) = (read?, used.map_err(|error| failure::of_store(&snapshot.process, error))?);
        say(&if args.json {
            let lines: Vec<Value> = lines.iter().map(LimitLine::json).collect();
            let quotas: Vec<Value> = used.iter().map(UsedQuota::json).collect();
            format!("{:#}\n", json!({"topology": topology.json(), "limits": lines, "quotas": quotas}))
        } else {
            let columns = terminal::width();
            let width = table::text_width(columns);
            let quotas = quotas::text(&used, width);
            format!("{}\n{}{quotas}", topology.text(width), table::text(&lines, columns))
        });
        Ok(ExitCode::SUCCESS)
    })
}

async fn read(store: &Store, snapshot: &Snapshot) -> anyhow::Result<(LimitTopology, Vec<LimitLine>)> {
    let failed = |error| failure::of_store(&snapshot.process, error);
    let cluster = Cluster::new(store.clone());
    let topology = LimitTopology {
        shared: store.is_shared(),
        // SQLite has exactly one server, even if it is not running.
        live: if store.is_shared() { cluster.lessees(snapshot.process.lease.ttl).await.map_err(failed)? } else { 1 },
        redis: snapshot.process.redis.is_some(),
        workers: snapshot.process.worker_count(),
        durable: snapshot.process.spool.durability == config::snapshot::Durability::Power,
        unbounded: snapshot.traffic.budgets.unbounded,
    };
    let mut lines = Vec::new();
    for (limits, listener_name) in [
        (snapshot.process.control.rate_limits.as_slice(), "control"),
        (snapshot.traffic.unauthenticated.as_slice(), "the proxy"),
    ] {
        lines.extend(limits.iter().map(|limit| topology.window(limit, listener_name)));
    }
    for (position, rule) in snapshot.traffic.rate_limits.all().iter().enumerate() {
        let route = snapshot.route_of_limit(position).map(|route| printable(route));
        lines.extend(topology.rule(rule, route.as_deref()));
    }
    for stored in store.stored_plans().await.map_err(failed)? {
        lines.extend(topology.of_plan(&stored.plan));
    }
    for plan in snapshot.subject_plans() {
        lines.extend(topology.of_subjects(plan));
    }
    let keys = store.bound_keys().await.map_err(failed)?;
    lines.extend(topology.of_keys(&keys));
    for limit in &snapshot.traffic.budgets.limits {
        let scope = match limit.dimension {
            BudgetDimension::Key => "each key",
            BudgetDimension::User => "each user",
            BudgetDimension::Plan => "all users of each plan together",
            BudgetDimension::Global => "all users together",
        };
        lines.push(topology.budget(
            limit.budget.to_string(),
            scope.to_owned(),
            limit.budget.measure,
            limit.budget.amount,
        ));
    }
    let budgets = store.budgets().await.map_err(failed)?;
    let ids = store.scope_ids(budgets.iter().map(|stored| stored.scope)).await.map_err(failed)?;
    for stored in budgets {
        let name = printable(&stored.name);
        let scope = match stored.scope {
            BudgetScope::Key(no) => format!("key {}{} {name}", stored.scope_id, last4(&ids, no)),
            BudgetScope::User(_) => format!("user {name}"),
            BudgetScope::Subject(_) => format!("subject {name}"),
            BudgetScope::Plan(_) => format!("all users of plan {name}"),
            BudgetScope::Global => "all users together".to_owned(),
        };
        lines.push(topology.budget(stored.budget.to_string(), scope, stored.budget.measure, stored.budget.amount));
    }
    Ok((topology, lines))
}

/// The facts about running servers on which limits depend.
#[derive(Debug, Clone, Copy)]
struct LimitTopology {
    /// Whether servers share the store, and therefore lease budgets.
    shared: bool,
    /// Number of live servers.
    live: u64,
    redis: bool,
    workers: usize,
    /// Whether the spool survives a power failure.
    durable: bool,
    unbounded: Unbounded,
}

/// Returns a limit with the window of its policy, in which `w=` begins the seconds.
fn in_time(tier: &LimitTier, limit: NonZeroU32) -> String {
    let seconds = tier.policy.rsplit_once(";w=").map_or("", |(_, seconds)| seconds);
    format!("{limit} requests in {seconds} s")
}

/// One limit in the output.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LimitLine {
    limit: String,
    scope: String,
    overshoot: ReasonedAmount,
    stranded: ReasonedAmount,
}

impl LimitTopology {
    /// Number of servers for the calculation: at least one, as a server will be started.
    fn servers(self) -> u64 {
        self.live.max(1)
    }

    fn window(self, limit: &WindowLimit, listener: &str) -> LimitLine {
        let scope = match (limit.dimension, limit.whose) {
            (Dimension::Key, _) => "each key",
            (Dimension::Address, LimitSubject::Everybodys) => "each address",
            (Dimension::Address, LimitSubject::WithoutKey) => "each address without a valid key",
            (Dimension::Address, LimitSubject::WithSession) => "each address with a session",
        };
        let seconds = limit.window.as_secs();
        LimitLine {
            limit: format!("{} requests to {listener} in {seconds} s", limit.limit),
            scope: scope.to_owned(),
            overshoot: reasons::of_window(self, limit.limit),
            stranded: reasons::NO_RATE_STRANDS.into(),
        }
    }

    /// Returns the lines of an entry of `rate_limits`, or of a route's: one for the usual limit and one for each tier.
    fn rule(self, rule: &RateLimit, route: Option<&str>) -> Vec<LimitLine> {
        let of = rule.dimensions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        let route = route.map_or_else(|| "all routes".to_owned(), |route| format!("route {route}"));
        let line = |tier: &LimitTier, of_tier: String| {
            let (limit, overshoot) = match tier.terms {
                LimitTerms::Concurrent(limit) => {
                    (format!("{limit} requests in flight"), reasons::of_concurrent(self, limit))
                }
                LimitTerms::Requests(RequestTerms::TokenBucket(rate)) => {
                    let limit = NonZeroU32::new(rate.limit()).unwrap_or(NonZeroU32::MIN);
                    (in_time(tier, limit), reasons::of_rate(self, limit, rate.most_in_window()))
                }
                LimitTerms::Requests(RequestTerms::SlidingWindow(window)) => {
                    let limit = NonZeroU32::new(window.limit()).unwrap_or(NonZeroU32::MIN);
                    (in_time(tier, limit), reasons::of_window(self, limit))
                }
            };
            let scope = format!("each {of}, {route}{of_tier}");
            LimitLine { limit, scope, overshoot, stranded: reasons::NO_RATE_STRANDS.into() }
        };
        let usual = rule.usual.iter().map(|tier| line(tier, String::new()));
        usual.chain(rule.tiers.iter().map(|(name, tier)| line(tier, format!(", tier {}", printable(name))))).collect()
    }

    fn rate(self, limit: NonZeroU32, scope: String) -> LimitLine {
        let most = Rate::per_minute(limit).most_in_window();
        LimitLine {
            limit: format!("{limit} requests a minute"),
            scope,
            overshoot: reasons::of_rate(self, limit, most),
            stranded: reasons::NO_RATE_STRANDS.into(),
        }
    }

    fn budget(self, limit: String, scope: String, measure: Measure, amount: Amount) -> LimitLine {
        let (overshoot, stranded) = (reasons::overshoot(self, measure), reasons::stranded(self, measure, amount));
        LimitLine { limit, scope, overshoot, stranded }
    }

    fn credits(self, credits: Credits, scope: String) -> LimitLine {
        self.budget(format!("{} credits a day", credits.0), scope, Measure::Credits, Amount::of_credits(credits))
    }

    fn of_plan(self, plan: &Plan) -> Vec<LimitLine> {
        let name = printable(&plan.name);
        let mut lines = Vec::new();
        lines.extend(plan.requests_per_minute.map(|limit| self.rate(limit, format!("each key on plan {name}"))));
        lines.extend(plan.credits_per_day.map(|credits| self.credits(credits, format!("each user on plan {name}"))));
        lines.extend(plan.budgets.iter().map(|budget| {
            self.budget(budget.to_string(), format!("each user on plan {name}"), budget.measure, budget.amount)
        }));
        lines
    }

    /// Returns the limits of clients without a user, whose plan is that of the configuration.
    fn of_subjects(self, plan: &Plan) -> Vec<LimitLine> {
        let scope = format!("each client without a user on plan {}", printable(&plan.name));
        let rate = plan.requests_per_minute.map(|limit| self.rate(limit, scope.clone()));
        let quotas = plan.subject_quotas();
        let quotas = quotas.map(|of| self.budget(of.to_string(), scope.clone(), of.measure, of.amount));
        rate.into_iter().chain(quotas).collect()
    }

    /// Returns the limits of keys. There may be many keys, so that only the largest value is shown.
    fn of_keys(self, keys: &BoundKeys) -> Vec<LimitLine> {
        let (rates, quotas) = (keys.requests_per_minute, keys.credits_per_day);
        let rate = rates.most.and_then(|most| NonZeroU32::new(u32::try_from(most).unwrap_or(u32::MAX)));
        let rate = rate.map(|most| self.rate(most, format!("the largest of {} keys with their own", rates.keys)));
        let quota = quotas
            .most
            .map(|most| self.credits(Credits(most), format!("the largest of {} keys with their own", quotas.keys)));
        rate.into_iter().chain(quota).collect()
    }

    /// Returns one line per fact on which limits depend.
    fn text(self, width: usize) -> String {
        let store = if self.shared {
            format!("PostgreSQL; {} live servers share it by leases", self.live)
        } else {
            "SQLite; one server applies all limits".to_owned()
        };
        let redis = if self.redis {
            "shares control.rate_limits, rate_limits, and requests_per_minute of plans and keys between servers"
        } else {
            "none; each server counts requests separately"
        };
        let spool = if self.durable { "survives a power failure" } else { reasons::NOT_DURABLE };
        let workers = format!("{} for each server", self.workers);
        let folded = reasons::folded(self);
        let facts =
            [("Store", &*store), ("Redis", redis), ("Workers", &*workers), ("Spool", spool), ("Counts", &*folded)];
        facts.iter().map(|(name, fact)| table::hanging(&format!("{name:<8} "), fact, width)).collect()
    }

    fn json(self) -> Value {
        json!({
            "store": if self.shared { "postgres" } else { "sqlite" },
            "servers": self.live,
            "redis": self.redis,
            "workers": self.workers,
            "durability": if self.durable { "power" } else { "process" },
            "folded": reasons::folded(self),
        })
    }
}

impl LimitLine {
    fn json(&self) -> Value {
        let Self { limit, scope, overshoot, stranded } = self;
        json!({"limit": limit, "whose": scope, "overshoot": overshoot.json(), "stranded": stranded.json()})
    }
}

#[cfg(test)]
mod tests {
    use super::reasons::AmountMax;
    use super::*;

    const ALONE: LimitTopology = LimitTopology {
        shared: false,
        live: 1,
        redis: false,
        workers: 2,
        durable: false,
        unbounded: Unbounded::Refuse,
    };
    const THREE: LimitTopology = LimitTopology { shared: true, live: 3, ..ALONE };

    #[test]
    fn a_quota_is_never_exceeded_and_strands_at_most_the_leased_amount() {
        let line = |topology: LimitTopology| topology.credits(Credits(100), "each user".to_owned());
        assert_eq!(
            (line(ALONE).overshoot.most, line(ALONE).stranded.most),
            (AmountMax::Exactly(0), AmountMax::Exactly(0))
        );
        let shared = line(THREE);
        assert_eq!((shared.overshoot.most, shared.stranded.most), (AmountMax::Exactly(0), AmountMax::Exactly(8)));
        // The expected value uses the rule of the lease server itself.
        let ask = meter::lease::LeaseRequest {
            counter: meter::lease::CounterId {
                budget: meter::BudgetId::credits_a_day(BudgetScope::Global),
                period: meter::Period::of(access::Per::Day, access::Day(1)),
            },
            term: 0,
            seq: 1,
            ceiling: Amount::ZERO,
            used: Amount::ZERO,
            spent: Amount::ZERO,
            want: Amount::MAX,
            need: Amount::ZERO,
            need_fitting: Amount::ZERO,
            queued: Amount::ZERO,
            answered_recall: 0,
            limit: Amount(100),
        };
        assert_eq!(
            meter::lease::LeaseRules::grant_amount(
                &meter::lease::StandardRules,
                &ask,
                Amount(100),
                meter::lease::Contention { live_nodes: 3, contended: false }
            ),
            Amount(8)
        );
    }

    #[test]
    fn usage_that_is_known_afterwards_may_exceed_the_bound() {
        for topology in [ALONE, THREE] {
            let line = topology.budget(
                "5 USD a day".to_owned(),
                "all users".to_owned(),
                Measure::Money,
                Amount(5_000_000_000),
            );
            assert_eq!(line.overshoot.most, AmountMax::AtLeast(0), "{line:?}");
        }
    }

    #[test]
    fn rates_of_plans_and_keys_and_windows_are_shared_by_redis() {
        let limit = NonZeroU32::new(60).unwrap();
        let rate = |topology: LimitTopology| topology.rate(limit, "each key".to_owned()).overshoot.most;
        assert_eq!((rate(ALONE), rate(THREE)), (AmountMax::Exactly(60), AmountMax::Exactly(300)));
        assert_eq!(rate(LimitTopology { redis: true, ..THREE }), AmountMax::Exactly(60));
        let window = |topology: LimitTopology| reasons::of_window(topology, limit).most;
        assert_eq!((window(ALONE), window(THREE)), (AmountMax::Exactly(60), AmountMax::Exactly(300)));
        assert_eq!(window(LimitTopology { redis: true, ..THREE }), AmountMax::Exactly(60));
    }
}
