//! Gauges of the proxy, copied from its state at each scrape.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use access::Amount;
use access::exchange::shared_responses::SharedResponses;
use config::Snapshot;
use meter::Charge;
use meter::stats::ReservationTotals;
use proxy::Shared;
use telemetry::metrics;
use telemetry::metrics::{CacheStoreLabels, MeasureAmounts};

use super::durable_state::InterruptedTotals;
use super::parts::ServerContext;

/// Copies values of other parts into gauges at each scrape.
pub(super) fn watch_gauges(base: &ServerContext, shared: &Arc<Shared>) {
    let shared = shared.clone();
    // A scrape may come late, or never: a replaced snapshot is not kept for it.
    let labeled = Mutex::new(Weak::<Snapshot>::new());
    base.metrics.on_scrape(Box::new(move |all| {
        let meter = &shared.meter;
        let capacity = &shared.capacity;
        all.proxy.connections.set(i64::from(capacity.connections()));
        all.proxy.in_flight.set(i64::from(capacity.in_flight()));
        all.proxy.buffered_bytes.set(i64::try_from(capacity.buffered_bytes()).unwrap_or(i64::MAX));
        for (result, count) in shared.responses.shared().into_iter().flat_map(SharedResponses::counts) {
            let of = CacheStoreLabels { result: result.as_str() };
            metrics::set_total(&all.proxy.cache_store.get_or_create(&of), count);
        }
        let (responses, bytes) = shared.responses.totals();
        all.proxy.cache_responses.set(i64::try_from(responses).unwrap_or(i64::MAX));
        all.proxy.cache_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        show(&all.meter, &meter.stats().totals());
        let snapshot = shared.live.load_full();
        let mut labeled = labeled.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::ptr::eq(labeled.as_ptr(), Arc::as_ptr(&snapshot)) {
            show_labels(&all.proxy.route_labels, &snapshot);
            *labeled = Arc::downgrade(&snapshot);
        }
    }));
}

/// Shows the labels of the routes of a snapshot. Those of removed routes vanish.
fn show_labels(shown: &metrics::ConfiguredLabels, snapshot: &Snapshot) {
    // A route with several paths is in the list with each of them.
    let mut named = BTreeSet::new();
    let policies = snapshot.traffic.router.routes().iter().map(|route| &route.policy);
    let labeled = policies.filter(|policy| !policy.labels.pairs.is_empty() && named.insert(&*policy.name));
    shown.show(
        labeled.map(|policy| (&*policy.name, policy.labels.pairs.iter().map(|(name, value)| (&**name, &**value)))),
    );
}

fn show(meter: &metrics::MeterMetrics, totals: &ReservationTotals) {
    for (counter, total) in [
        (&meter.reserved, totals.reserved_count),
        (&meter.released, totals.released_count),
        (&meter.settled, totals.settled_count),
        (&meter.dropped, totals.dropped_count),
        (&meter.overruns, totals.overrun_count),
        (&meter.bounded, totals.bounded_count),
    ] {
        metrics::set_total(counter, total);
    }
    meter.in_flight.set(amounts(totals.in_flight));
    meter.used.set(amounts(totals.used));
    meter.overrun.set(amounts(totals.overrun));
    meter.estimated.set(amounts(totals.estimated));
}

/// Converts a charge for metrics, which count whole credits, rounded down.
const fn amounts(Charge { credits, tokens, money, .. }: Charge) -> MeasureAmounts {
    MeasureAmounts { credits: credits.rounded_down(), tokens: tokens.0, nano_usd: Amount::of_money(money).0 }
}

/// Sets the metrics for interrupted requests, which do not change after the start.
pub(super) fn set_interrupted(base: &ServerContext, interrupted: &InterruptedTotals) {
    metrics::set_total(&base.metrics.meter.interrupted, interrupted.requests);
    base.metrics.meter.cut_off.set(amounts(interrupted.reserved));
}
