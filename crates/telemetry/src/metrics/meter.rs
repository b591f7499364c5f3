//! What the meter, the leases and the spool count; all of it is kept elsewhere and copied at scrape.

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;

use super::set_total;

/// A gauge of seconds and their fractions.
pub type Seconds = Gauge<f64, AtomicU64>;

/// One metric for each of the measures that budgets have: the label `measure`.
#[derive(Debug, Clone, Default)]
pub struct PerMeasure<M> {
    /// Of a quota.
    pub credits: M,
    /// Of every class.
    pub tokens: M,
    /// Billionths of a US dollar.
    pub nano_usd: M,
}

/// An amount of each measure, in the units of [`PerMeasure`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MeasureAmounts {
    /// Of a quota.
    pub credits: u64,
    /// Of every class.
    pub tokens: u64,
    /// Billionths of a US dollar.
    pub nano_usd: u64,
}

/// How many reservations were taken, how they ended, and of how much, since the process began. Set at scrape with [`set_total`].
#[derive(Debug, Clone, Default)]
pub struct MeterMetrics {
    /// `tollgate_meter_reserved_total`: taken.
    pub reserved: Counter,
    /// `tollgate_meter_released_total`: given back before anything was sent.
    pub released: Counter,
    /// `tollgate_meter_settled_total`: settled with what truly was used.
    pub settled: Counter,
    /// `tollgate_meter_dropped_total`: dropped after the first byte, unsettled.
    pub dropped: Counter,
    /// `tollgate_meter_overruns_total`: settled with more than was reserved.
    pub overruns: Counter,
    /// `tollgate_meter_bounded_total`: settled with what was reserved, as nobody said what was used.
    pub bounded: Counter,
    /// `tollgate_meter_interrupted_total`: found open at the start.
    pub interrupted: Counter,
    /// `tollgate_meter_held`: reserved by what is under way.
    pub held: PerMeasure<Gauge>,
    /// `tollgate_meter_used_total`: what requests were settled with.
    pub used: PerMeasure<Counter>,
    /// `tollgate_meter_overrun_total`: used beyond what was reserved.
    pub overrun: PerMeasure<Counter>,
    /// `tollgate_meter_estimated_total`: counted as used because nobody said.
    pub estimated: PerMeasure<Counter>,
    /// `tollgate_meter_cut_off_total`: counted as used by requests that were found open at the start.
    pub cut_off: PerMeasure<Counter>,
}

/// Leases of budgets that nodes share.
#[derive(Debug, Clone, Default)]
pub struct LeaseMetrics {
    /// `tollgate_lease_ticks_total`: asks that the store answered.
    pub ticks: Counter,
    /// `tollgate_lease_failures_total`: asks that it did not.
    pub failures: Counter,
    /// `tollgate_lease_recalls_total`: leases that another node was in need of.
    pub recalls: Counter,
    /// `tollgate_lease_waits_total`: requests for which too little was lent to this node.
    pub waits: Counter,
    /// `tollgate_lease_used_up_total`: those that were refused: it was used up everywhere.
    pub used_up: Counter,
    /// `tollgate_lease_withheld_total`: those to whom nobody could say.
    pub withheld: Counter,
    /// `tollgate_lease_stranded`: leases of nodes that do not answer, with something left in them.
    pub stranded: Gauge,
    /// `tollgate_lease_stranded_amount`: what is left in them.
    pub stranded_amount: PerMeasure<Gauge>,
}

/// The file of usage events.
#[derive(Debug, Clone, Default)]
pub struct SpoolMetrics {
    /// `tollgate_spool_bytes`: written and not yet ingested.
    pub bytes: Gauge,
    /// `tollgate_spool_records`: the same in records.
    pub records: Gauge,
    /// `tollgate_spool_oldest_seconds`: age of the oldest of it.
    pub oldest_seconds: Gauge,
    /// `tollgate_spool_ingest_lag_seconds`: how long the oldest event of the last batch waited to be stored.
    pub ingest_lag_seconds: Seconds,
    /// `tollgate_spool_ingested_total`: events that stand in the store, folded counts apart.
    pub ingested_total: Counter,
    /// `tollgate_spool_ingest_errors_total`: batches that could not be read or written.
    pub ingest_errors: Counter,
}

impl PerMeasure<Counter> {
    /// Sets each to a total that is kept elsewhere; see [`set_total`].
    pub fn set(&self, totals: MeasureAmounts) {
        set_total(&self.credits, totals.credits);
        set_total(&self.tokens, totals.tokens);
        set_total(&self.nano_usd, totals.nano_usd);
    }
}

impl PerMeasure<Gauge> {
    /// Sets each to an amount.
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
            ("tollgate_meter_reserved", "Reservations taken", &meter.reserved),
            ("tollgate_meter_released", "Reservations given back unsent", &meter.released),
            ("tollgate_meter_settled", "Reservations settled", &meter.settled),
            ("tollgate_meter_dropped", "Requests dropped unsettled", &meter.dropped),
            ("tollgate_meter_overruns", "Requests settled with more than was reserved", &meter.overruns),
            ("tollgate_meter_bounded", "Requests settled with what was reserved, as nobody said", &meter.bounded),
            ("tollgate_meter_interrupted", "Requests found open at the start", &meter.interrupted),
        ] {
            registry.register(name, help, counter.clone());
        }
        registry.register("tollgate_meter_held", "Reserved by what is under way", meter.held.clone());
        for (name, help, counters) in [
            ("tollgate_meter_used", "What requests were settled with", &meter.used),
            ("tollgate_meter_overrun", "Used beyond what was reserved", &meter.overrun),
            ("tollgate_meter_estimated", "Counted as used because nobody said", &meter.estimated),
            ("tollgate_meter_cut_off", "Counted as used by requests found open at the start", &meter.cut_off),
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
            ("tollgate_lease_ticks", "Asks for leases that the store answered", &leases.ticks),
            ("tollgate_lease_failures", "Asks for leases that the store did not answer", &leases.failures),
            ("tollgate_lease_recalls", "Leases of which another node was in need", &leases.recalls),
            ("tollgate_lease_waits", "Requests for which too little was lent", &leases.waits),
            ("tollgate_lease_used_up", "Requests refused after they had waited", &leases.used_up),
            ("tollgate_lease_withheld", "Requests to whom nobody could say", &leases.withheld),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        registry.register("tollgate_lease_stranded", "Leases of nodes that do not answer", leases.stranded.clone());
        let amount = leases.stranded_amount.clone();
        registry.register(
            "tollgate_lease_stranded_amount",
            "What is left in leases of nodes that do not answer",
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
            "How long the oldest event of the last batch waited to be stored",
            spool.ingest_lag_seconds.clone(),
        );
        registry.register("tollgate_spool_ingested", "Usage events ingested", spool.ingested_total.clone());
        registry.register(
            "tollgate_spool_ingest_errors",
            "Batches that could not be read or written",
            spool.ingest_errors.clone(),
        );
        spool
    }
}
