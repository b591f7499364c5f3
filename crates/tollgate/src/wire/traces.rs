//! The export of traces, which a configuration without `traces.otlp` does not start.

use config::snapshot::{Scheme, Traces};
use otlp::{ExportTarget, ExportedResource, OtlpClient, OtlpReceiver, TraceExport};

use super::parts::{ServerContext, Services};

/// Starts the job that exports traces, if a receiver is configured.
pub(super) fn start(base: &ServerContext, services: &mut Services) {
    let snapshot = base.live.load();
    let Some(traces) = &snapshot.process.traces else { return };
    let target = ExportTarget {
        receiver: receiver(traces),
        resource: ExportedResource {
            service: traces.service.clone().unwrap_or_else(|| snapshot.process.brand.slug().to_owned()),
            version: env!("CARGO_PKG_VERSION"),
            instance: base.node.id().to_string(),
        },
        client: OtlpClient::new(&proxy::tls_config()),
    };
    let export = TraceExport::new(target, base.metrics.clone(), base.clock.clone());
    services.jobs.add(otlp::SPEC, move || export.clone());
}

fn receiver(traces: &Traces) -> OtlpReceiver {
    let origin = &traces.receiver;
    OtlpReceiver {
        is_https: origin.scheme == Scheme::Https,
        host: origin.host.clone(),
        port: origin.port,
        authority: origin.authority.clone(),
        path: origin.path.clone(),
        headers: traces.headers.clone(),
    }
}
