//! Settings from the variables that OpenTelemetry defines for all programs (OpenTelemetry, "OTLP Exporter Configuration").
//! They apply where neither the file nor a variable of Tollgate has a setting.

use percent_encoding::percent_decode_str;
use settings::environment::Environment;
use settings::error::{Code, Problem};
use settings::section::SettingsReader;
use settings::yaml::{Kind, YamlKey, YamlNode};

use crate::note::Note;

/// The variables of a receiver of all signals, and those of traces, which come first.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
/// The protocol of the exporter.
const PROTOCOL: &str = "http/protobuf";
/// The key that has the address of the receiver.
const OTLP: &[&str] = &["traces", "otlp"];
const SERVICE: &str = "OTEL_SERVICE_NAME";
const DISABLED: &str = "OTEL_SDK_DISABLED";

/// Returns the values of keys that the variables set; `root` has all other settings.
pub(super) fn settings(
    reader: &SettingsReader<'_>,
    root: &YamlNode,
    environment: &Environment,
) -> Vec<(&'static [&'static str], YamlNode)> {
    let mut settings: Vec<(&'static [&'static str], YamlNode)> = Vec::new();
    let is_disabled = environment.get(DISABLED).is_some_and(|word| word.eq_ignore_ascii_case("true"));
    if is_disabled {
        return settings;
    }
    let service = environment.get(SERVICE).filter(|name| !name.is_empty() && root.find("traces.service").is_none());
    if let Some((service, variable)) = service.zip(environment.variable(SERVICE)) {
        let at = reader.at_variable(variable, true);
        settings.push((&["traces", "service"], YamlNode { at, kind: Kind::Scalar(service.to_owned()) }));
    }
    if root.find("traces.otlp").is_some_and(|node| !matches!(node.kind, Kind::Null)) {
        return settings;
    }
    let Some((name, endpoint)) = set_of(ENDPOINTS, environment) else { return settings };
    let Some(variable) = environment.variable(name) else { return settings };
    let at = reader.at_variable(variable, true);
    settings.push((OTLP, YamlNode { at, kind: Kind::Scalar(endpoint.to_owned()) }));
    if root.find("traces.headers").is_some() {
        return settings;
    }
    let Some((name, headers)) = set_of(HEADERS, environment) else { return settings };
    let Some(variable) = environment.variable(name) else { return settings };
    let at = reader.at_variable(variable, true);
    let Some(headers) = pairs(headers) else {
        let message = format!("{name} is not a list of headers");
        reader.report(Problem::new(Code::Environment, at, message).expected("NAME=VALUE,NAME=VALUE, percent-encoded"));
        return settings;
    };
    let entry = |(name, value): (String, String)| (YamlKey { at, name }, YamlNode { at, kind: Kind::Scalar(value) });
    let headers = headers.into_iter().map(entry).collect();
    settings.push((&["traces", "headers"], YamlNode { at, kind: Kind::Map(headers) }));
    settings
}

/// Returns a note if the variables set a receiver of another protocol. It may accept this one too, so it is no error.
pub(super) fn note(settings: &[(&[&str], YamlNode)], environment: &Environment) -> Option<Note> {
    let has_receiver = settings.iter().any(|(path, _)| *path == OTLP);
    if !has_receiver {
        return None;
    }
    let (variable, protocol) = set_of(PROTOCOLS, environment)?;
    (protocol != PROTOCOL).then_some(Note::OtherProtocol { variable })
}

/// Returns the first of the variables that is set, with its value.
fn set_of<'a>(names: [&'static str; 2], environment: &'a Environment) -> Option<(&'static str, &'a str)> {
    let mut set = names.into_iter().filter_map(|name| Some((name, environment.get(name)?.trim())));
    set.find(|(_, value)| !value.is_empty())
}

/// Returns the names and values of a list `NAME=VALUE,…` as W3C Baggage has it, without properties.
fn pairs(list: &str) -> Option<Vec<(String, String)>> {
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8().ok().map(String::from);
    let pair = |entry: &str| {
        let (name, value) = entry.split_once('=')?;
        Some((decoded(name)?, decoded(value)?))
    };
    list.split(',').filter(|entry| !entry.trim().is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Sources, load_text};
    use crate::snapshot::Traces;
    use crate::sources::flags::Flags;

    /// The traces of a file with these variables, or the error.
    fn traces(source: &str, variables: &[(&str, &str)]) -> Result<Option<Traces>, String> {
        let environment = Environment::from_variables(variables.iter().copied());
        let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
        let loaded = load_text("t.yaml", source, sources).map_err(|error| error.to_string())?;
        Ok(loaded.snapshot.process.traces)
    }

    fn receiver(source: &str, variables: &[(&str, &str)]) -> Option<String> {
        traces(source, variables).unwrap().map(|traces| traces.receiver.to_string())
    }

    #[test]
    fn the_more_specific_setting_applies() {
        let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318/");
        let of_traces = (ENDPOINTS[0], "http://b/v1/traces");
        let file = "traces: {otlp: 'https://c/x'}";
        assert_eq!(receiver("", &[]), None);
        assert_eq!(receiver("", &[all]).as_deref(), Some("http://a:4318/v1/traces"));
        assert_eq!(receiver("", &[all, of_traces]).as_deref(), Some("http://b/v1/traces"));
        assert_eq!(receiver(file, &[all, of_traces]).as_deref(), Some("https://c/x/v1/traces"));
        // Only the variable of traces has the whole path, if it has one.
        assert_eq!(receiver("", &[(ENDPOINTS[0], "http://b:4318")]).as_deref(), Some("http://b:4318/v1/traces"));
        assert_eq!(receiver("", &[(ENDPOINTS[0], "http://b/v2/otlp")]).as_deref(), Some("http://b/v2/otlp"));
        assert_eq!(receiver("", &[(ENDPOINTS[1], "http://b/v2/otlp")]).as_deref(), Some("http://b/v2/otlp/v1/traces"));
        let own = ("TOLLGATE_TRACES__OTLP", "http://d");
        assert_eq!(receiver(file, &[all, own]).as_deref(), Some("http://d/v1/traces"));
        assert_eq!(receiver("", &[all, (DISABLED, "true")]), None);
        assert_eq!(receiver("", &[all, (DISABLED, "false")]).as_deref(), Some("http://a:4318/v1/traces"));
    }

    #[test]
    fn the_name_of_the_service_applies_with_any_receiver() {
        let service = |source: &str, variables: &[(&str, &str)]| traces(source, variables).unwrap().unwrap().service;
        let file = "traces: {otlp: 'https://c/x'}";
        let named = "traces: {otlp: 'https://c/x', service: own}";
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a");
        let name = (SERVICE, "edge gateway");
        assert_eq!(service(file, &[]), None);
        assert_eq!(service(file, &[(SERVICE, "")]), None);
        assert_eq!(service(file, &[name]).as_deref(), Some("edge gateway"));
        assert_eq!(service("", &[endpoint, name]).as_deref(), Some("edge gateway"));
        assert_eq!(service(named, &[name]).as_deref(), Some("own"));
        assert_eq!(service(file, &[name, ("TOLLGATE_TRACES__SERVICE", "more")]).as_deref(), Some("more"));
        assert_eq!(service(file, &[name, (DISABLED, "true")]), None);
        assert!(traces("", &[name]).unwrap().is_none(), "the name exports nothing");
        let error = traces(file, &[(SERVICE, "a\nb")]).unwrap_err();
        assert!(error.contains(SERVICE) && error.contains("control characters"), "{error}");
    }

    #[test]
    fn another_protocol_of_the_receiver_is_noted() {
        let noted = |source: &str, variables: &[(&str, &str)]| {
            let environment = Environment::from_variables(variables.iter().copied());
            let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
            let notes = load_text("t.yaml", source, sources).unwrap().notes;
            notes.into_iter().find(|note| matches!(note, Note::OtherProtocol { .. })).map(|note| note.to_string())
        };
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4317");
        let all = (PROTOCOLS[1], "grpc");
        let note = noted("", &[endpoint, all]).unwrap();
        assert!(note.starts_with(PROTOCOLS[1]) && note.contains("4318"), "{note}");
        assert!(noted("", &[endpoint, (PROTOCOLS[0], "http/json"), all]).unwrap().starts_with(PROTOCOLS[0]));
        for silent in [&[endpoint][..], &[all], &[endpoint, all, (PROTOCOLS[0], "http/protobuf")]] {
            assert_eq!(noted("", silent), None, "{silent:?}");
        }
        assert_eq!(noted("traces: {otlp: 'https://c'}", &[endpoint, all]), None, "the file names the receiver");
    }

    #[test]
    fn headers_are_decoded_and_invalid_ones_are_reported_without_their_text() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a");
        let set = [endpoint, (HEADERS[1], "x-key=S3CRET%20a, authorization=Basic%20b%3D,")];
        let headers = traces("", &set).unwrap().unwrap().headers;
        let shown: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(shown, [("x-key", "S3CRET a"), ("authorization", "Basic b=")]);
        for invalid in ["S3CRET", "x=%ff%fe", "host=S3CRET", "x=S3CRET%0a"] {
            let error = traces("", &[endpoint, (HEADERS[1], invalid)]).unwrap_err();
            assert!(error.contains(HEADERS[1]) && !error.contains("S3CRET"), "{error}");
        }
        let error = traces("", &[(ENDPOINTS[1], "grpc://S3CRET")]).unwrap_err();
        assert!(error.contains(ENDPOINTS[1]) && !error.contains("S3CRET"), "{error}");
    }
}
