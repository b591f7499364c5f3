//! Metrics of listeners with TLS and of their certificates. The configuration bounds the number of series.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::family::{Family, LabelValue, MetricLabels};

/// Maximum number of certificates with series of their own.
const CERTIFICATES_MAX: usize = 1_000;

/// Metrics of listeners with TLS.
#[derive(Debug, Clone)]
pub struct TlsMetrics {
    /// `tollgate_tls_handshake_failures_total`: connections of the proxy that ended before TLS was established.
    pub handshake_failures: Counter,
    /// `tollgate_tls_certificate_expiry_timestamp_seconds`: the end of the validity of the certificate in use.
    pub expiry: Family<CertificateLabels, Gauge>,
    /// `tollgate_tls_reload_failures_total`: reads of a file that found a content which cannot be used.
    pub reload_failures: Family<CertificateLabels, Counter>,
}

/// The file of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct CertificateLabels {
    /// The path, as it is configured.
    pub file: LabelValue,
}

impl MetricLabels for CertificateLabels {
    fn overflow(&self) -> Self {
        Self { file: LabelValue::other() }
    }
}

impl TlsMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let tls = Self {
            handshake_failures: Counter::default(),
            expiry: Family::new(CERTIFICATES_MAX),
            reload_failures: Family::new(CERTIFICATES_MAX),
        };
        registry.register(
            "tollgate_tls_handshake_failures",
            "Connections to the proxy that ended before TLS was established",
            tls.handshake_failures.clone(),
        );
        registry.register(
            "tollgate_tls_certificate_expiry_timestamp_seconds",
            "End of the validity of the certificate in use, in Unix time",
            tls.expiry.clone(),
        );
        registry.register(
            "tollgate_tls_reload_failures",
            "Reads of changed certificates that cannot be used, so that the earlier ones stay in use",
            tls.reload_failures.clone(),
        );
        tls
    }
}
