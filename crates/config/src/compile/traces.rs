//! Compiles the section `traces`.

use settings::section::SettingsReader;

use super::link_local;
use crate::schema::process::TracesInput;
use crate::snapshot::Traces;

/// The path of the receiver below its base URL (OTLP 1.9, "OTLP/HTTP Request").
const PATH: &str = "/v1/traces";
/// The variable whose path is that of the receiver (OpenTelemetry, "Endpoint URLs for OTLP/HTTP").
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// Returns the export of traces; `None` if no receiver is configured.
pub(super) fn traces(reader: &SettingsReader<'_>, input: &TracesInput) -> Option<Traces> {
    let otlp = input.otlp.as_ref()?;
    let mut receiver = match otlp.value_origin() {
        Some(at) => link_local::checked(reader, &otlp.value, false, (at, "traces.otlp"))?,
        None => otlp.value.clone(),
    };
    let variable = otlp.value_origin().and_then(|at| reader.variable_at(at));
    let is_endpoint = !receiver.path.is_empty() && variable.is_some_and(|variable| variable.name == ENDPOINT);
    if !receiver.path.ends_with(PATH) && !is_endpoint {
        receiver.path.push_str(PATH);
    }
    Some(Traces {
        receiver,
        headers: input.headers.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect(),
        sample: input.sample.value,
        parent: input.parent.value,
        errors: input.errors.value,
        slow: input.slow.value,
        queue_max: usize::try_from(input.queue.value).unwrap_or(usize::MAX),
        service: input.service.as_ref().map(|name| name.value.clone()),
    })
}
