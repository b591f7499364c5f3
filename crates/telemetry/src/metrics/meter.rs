//! Metrics of the meter, of leases and of the spool. Other crates count them; they are copied at scrape.

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;

use super::total::set_total;

/// A gauge in seconds with a fraction.
pub type Seconds = Gauge<f64, AtomicU64>;

/// One metric per measure of a budget, with the label `measure`.
#[derive(Debug, Clone, Default)]
pub struct PerMeasure<M> {
    /// The metric of whole credits, rounded down.
    pub credits: M,
    /// The metric of tokens of all classes.
    pub tokens: M,
    /// The metric of money, in nano-USD.
    pub nano_usd: M,
}

/// An amount of each measure, in the units of [`PerMeasure`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MeasureAmounts {
    /// The amount of whole credits.
    pub credits: u64,
    /// The amount of tokens of all classes.
    pub tokens: u64,
    /// The amount of money, in nano-USD.
    pub nano_usd: u64,
}

/// Reservations since the process began: their number, their outcomes and their amounts. Set at scrape with
/// [`set_total`].
#[derive(Debug, Clone, Default)]
pub struct MeterMetrics {
    /// `tollgate_meter_reserved_total`: reservations that were made.
    pub reserved: Counter,
    /// `tollgate_meter_released_total`: reservations released before the request was sent upstream.
    pub released: Counter,
    /// `tollgate_meter_settled_total`: reservations settled with the used amount.
    pub settled: Counter,
    /// `tollgate_meter_dropped_total`: reservations dropped after the commit without settling.
    pub dropped: Counter,
    /// `tollgate_meter_overruns_total`: reservations settled with more than the reserved amount.
    pub overruns: Counter,
    /// `tollgate_meter_bounded_total`: reservations settled with the reserved amount because usage was not reported.
    pub bounded: Counter,
    /// `tollgate_meter_interrupted_total`: requests that a crash interrupted, found at startup.
    pub interrupted: Counter,
    /// `tollgate_meter_in_flight`: amount reserved by requests in flight.
    pub in_flight: PerMeasure<Gauge>,
    /// `tollgate_meter_used_total`: amount that requests were settled with.
    pub used: PerMeasure<Counter>,
    /// `tollgate_meter_overrun_total`: used amount above the reserved amount.
    pub overrun: PerMeasure<Counter>,
    /// `tollgate_meter_estimated_total`: amount counted as used because usage was not reported.
    pub estimated: PerMeasure<Counter>,
    /// `tollgate_meter_cut_off_total`: amount counted as used by requests that a crash interrupted.
    pub cut_off: PerMeasure<Counter>,
}

/// Metrics of the leases of shared budgets.
#[derive(Debug, Clone, Default)]
pub struct LeaseMetrics {
    /// `tollgate_lease_ticks_total`: lease requests that the store answered.
    pub ticks: Counter,
    /// `tollgate_lease_failures_total`: lease requests that the store did not answer.
    pub failures: Counter,
    /// `tollgate_lease_recalls_total`: leases recalled because another node needed the surplus.
    pub recalls: Counter,
    /// `tollgate_lease_waits_total`: requests that needed more than this node had leased.
    pub waits: Counter,
    /// `tollgate_lease_used_up_total`: waiting requests refused because the budget was exhausted on all nodes.
    pub used_up: Counter,
    /// `tollgate_lease_withheld_total`: waiting requests refused because the remaining budget was unknown.
    pub withheld: Counter,
    /// `tollgate_lease_unusable`: unused leases of nodes that do not respond.
    pub unusable: Gauge,
    /// `tollgate_lease_unusable_amount`: unused amount of those leases.
    pub unusable_amount: PerMeasure<Gauge>,
}

/// Metrics of the spool.
#[derive(Debug, Clone, Default)]
pub struct SpoolMetrics {
    /// `tollgate_spool_bytes`: bytes written and not yet ingested.
    pub bytes: Gauge,
    /// `tollgate_spool_records`: records written and not yet ingested.
    pub records: Gauge,
    /// `tollgate_spool_oldest_seconds`: age of the oldest record that is not ingested.
    pub oldest_seconds: Gauge,
    /// `tollgate_spool_ingest_lag_seconds`: time from the oldest event of the last batch until it was stored.
    pub ingest_lag_seconds: Seconds,
    /// `tollgate_spool_ingested_total`: events stored; aggregated requests are not included.
    pub ingested_total: Counter,
    /// `tollgate_spool_ingest_errors_total`: batches that could not be read or stored.
    pub ingest_errors: Counter,
}

impl PerMeasure<Counter> {
    /// Raises each counter to its total; see [`set_total`].
    pub fn set(&self, totals: MeasureAmounts) {
        set_total(&self.credits, totals.credits);
        set_total(&self.tokens, totals.tokens);
        set_total(&self.nano_usd, totals.nano_usd);
    }
}

impl PerMeasure<Gauge> {
    /// Sets each gauge to its amount.
    pub fn set(&self, amounts: MeasureAmounts) {
        let MeasureAmounts { credits, tokens, nano_usd } = amounts;
        for (gauge, amount) in [(&self.credits, credits), (&self.tokens, tokens), (&self.nano_usd, nano_usd)] {
            gauge.set(i64::try_from(amount).unwrap_or(i64::MAX));
        }
    }
}

impl<M: EncodeMetric + TypedMetric> EncodeMetric for PerMeasure<M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let Self { credits, tokens, nano_usd } = self;
        for (measure, metric) in [("credits", credits), ("tokens", tokens), ("nano_usd", nano_usd)] {
            metric.encode(encoder.encode_family(&[("measure", measure)])?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

impl MeterMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let meter = Self::default();
        for (name, help, counter) in [
            ("tollgate_meter_reserved", "Reservations made", &meter.reserved),
            ("tollgate_meter_released", "Reservations released before the request was sent upstream", &meter.released),
            ("tollgate_meter_settled", "Reservations settled with the used amount", &meter.settled),
            ("tollgate_meter_dropped", "Reservations dropped after the commit without settling", &meter.dropped),
            ("tollgate_meter_overruns", "Reservations settled with more than the reserved amount", &meter.overruns),
            (
                "tollgate_meter_bounded",
                "Reservations settled with the reserved amount because usage was not reported",
                &meter.bounded,
            ),
            ("tollgate_meter_interrupted", "Requests that a crash interrupted, found at startup", &meter.interrupted),
        ] {
            registry.register(name, help, counter.clone());
        }
        registry.register("tollgate_meter_in_flight", "Amount reserved by requests in flight", meter.in_flight.clone());
        for (name, help, counters) in [
            ("tollgate_meter_used", "Amount that requests were settled with", &meter.used),
            ("tollgate_meter_overrun", "Used amount above the reserved amount", &meter.overrun),
            ("tollgate_meter_estimated", "Amount counted as used because usage was not reported", &meter.estimated),
            ("tollgate_meter_cut_off", "Amount counted as used by requests that a crash interrupted", &meter.cut_off),
        ] {
            registry.register(name, help, counters.clone());
        }
        meter
    }
}

impl LeaseMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let leases = Self::default();
        let counters = [
            ("tollgate_lease_ticks", "Lease requests that the store answered", &leases.ticks),
            ("tollgate_lease_failures", "Lease requests that the store did not answer", &leases.failures),
            ("tollgate_lease_recalls", "Leases recalled because another node needed the surplus", &leases.recalls),
            ("tollgate_lease_waits", "Requests that needed more than this node had leased", &leases.waits),
            (
                "tollgate_lease_used_up",
                "Waiting requests refused because the budget was exhausted on all nodes",
                &leases.used_up,
            ),
            (
                "tollgate_lease_withheld",
                "Waiting requests refused because the remaining budget was unknown",
                &leases.withheld,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        registry.register(
            "tollgate_lease_unusable",
            "Unused leases of nodes that do not respond",
            leases.unusable.clone(),
        );
        let amount = leases.unusable_amount.clone();
        registry.register(
            "tollgate_lease_unusable_amount",
            "Unused amount of the leases of nodes that do not respond",
            amount,
        );
        leases
    }
}

impl SpoolMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let spool = Self::default();
        registry.register("tollgate_spool_bytes", "Bytes written and not yet ingested", spool.bytes.clone());
        registry.register("tollgate_spool_records", "Records written and not yet ingested", spool.records.clone());
        registry.register(
            "tollgate_spool_oldest_seconds",
            "Age of the oldest record that is not ingested",
            spool.oldest_seconds.clone(),
        );
        registry.register(
            "tollgate_spool_ingest_lag_seconds",
            "Time from the oldest event of the last batch until it was stored",
            spool.ingest_lag_seconds.clone(),
        );
        registry.register(
            "tollgate_spool_ingested",
            "Usage events stored, aggregated requests excluded",
            spool.ingested_total.clone(),
        );
        registry.register(
            "tollgate_spool_ingest_errors",
            "Batches that could not be read from the spool or stored",
            spool.ingest_errors.clone(),
        );
        spool
    }
}
