//! Compiles the keys whose change needs a restart.

use std::time::Duration;

use access::credentials::api_key;
use settings::error::{Code, Problem, ValueOrigin};
use settings::field::Either;
use settings::input::Input;
use settings::plain::PlainInput;
use settings::section::SettingsReader;

use super::discover::SourceSettings;
use super::listen::CompiledListeners;
use super::{billing, export, limit, traces};
use crate::schema::process::{BrandInput, ConnectionsInput, ControlInput, ProcessInput};
use crate::snapshot::{Brand, Connections, Control, Process, TlsSettings};
use crate::sources::flags::Flags;

/// The part of `in_flight` that requests of one address may be whose clients are not identified: one in 16.
const PARTS_OF_ADDRESS: u32 = 16;
/// The minimum of that part, if it is at most half of `in_flight`: many clients may share the address of a network or of
/// a proxy that is not trusted.
const OF_ADDRESS_MIN: u32 = 64;
/// The part of `in_flight` that all such requests together may be: one in two. The others remain for identified clients.
const PARTS_OF_ANONYMOUS: u32 = 2;

/// Returns what a reload cannot change.
pub(super) fn process(
    reader: &SettingsReader<'_>,
    input: &mut ProcessInput,
    listeners: CompiledListeners,
    sources: &SourceSettings,
) -> Process {
    Process {
        brand: brand(&mut input.brand),
        listen: listeners.proxy,
        production: input.production.value,
        examples_dir: input.examples_dir.as_ref().map(|folder| folder.value.clone()),
        control: control(reader, &mut input.control, listeners.control_tls),
        public_url: input.public_url.plain(),
        metrics: input.metrics.plain(),
        redis: input.redis.as_ref().map(|url| url.value.clone()),
        workers: input.workers.value,
        in_flight_max: input.in_flight.value,
        connections: connections(&input.connections, input.in_flight.value),
        drain: input.drain.plain(),
        readiness: input.readiness.plain(),
        config_key: input.config.etcd.as_ref().and_then(|key| sources.config_key(reader, key)),
        upgrade: input.upgrade.plain(),
        log: input.log.plain(),
        traces: traces::traces(reader, &input.traces),
        trace_link: input.traces.link.as_ref().map(|link| link.value.clone()),
        data: input.data.value.clone(),
        store: input.store.plain(),
        spool: input.spool.plain(),
        export: export::export(reader, &input.export),
        retention: input.retention.plain(),
        lease: input.lease.plain(),
        outbound: input.outbound.allow.list.iter().flat_map(|entry| entry.value.iter().copied()).collect(),
        webhooks: input.webhooks.plain(),
        midtrans: billing::midtrans(&input.midtrans),
        mail: input.mail.as_ref().and_then(billing::mail),
    }
}

/// Applies the keys of the file that are the same as keys of `control`. Variables take precedence over the file.
fn set_control_keys(reader: &SettingsReader<'_>, process: &mut ProcessInput) {
    let ControlInput { listen, connections, timeout, .. } = &mut process.control;
    let of_seconds = |seconds: &Input<u32>| seconds.derived(Duration::from_secs(seconds.value.into()));
    set_same(reader, ["addr", "control.listen"], process.addr.clone(), listen);
    let max = process.max_connections.clone();
    set_same(reader, ["max_connections", "control.connections.max"], max, &mut connections.max);
    let seconds = process.timeout_seconds.as_ref().map(of_seconds);
    set_same(reader, ["timeout_seconds", "control.timeout"], seconds, timeout);
}

/// Sets the second of two keys to the value of the first. Different values of both are an error, unless only one is a
/// variable's.
fn set_same<T: PartialEq>(
    reader: &SettingsReader<'_>,
    [name, key]: [&str; 2],
    value: Option<Input<T>>,
    current: &mut Input<T>,
) {
    let Some(value) = value else { return };
    let is_variable = |input: &Input<T>| matches!(input.value_origin(), Some(ValueOrigin::Variable(_)));
    let Some(first) = current.value_origin() else {
        *current = value;
        return;
    };
    if is_variable(current) == is_variable(&value) {
        if current.value != value.value {
            let message = format!("`{name}` and `{key}` have different values");
            let problem = Problem::new(Code::Duplicate, value.value_origin(), message);
            reader.report(problem.expected("one of them").first(Some(first)));
        }
    } else if is_variable(&value) {
        *current = value;
    }
}

/// Replaces values by those of short keys, and by those of the command line.
pub(super) fn set_flags(reader: &SettingsReader<'_>, process: &mut ProcessInput, flags: &Flags) {
    set_control_keys(reader, process);
    process.data.set_flag(flags.data.clone(), "--data");
    process.control.listen.set_flag(flags.addr.clone(), "--addr");
    if let Some(folder) = flags.examples_dir.clone() {
        process.examples_dir = Some(Input::flag(folder, "--examples"));
    }
    process.workers.set_flag(flags.workers.map(Some), "--workers");
    if let Some(listen) = flags.listen.clone() {
        process.listen = Some(Either::Single(Input::flag(listen, "--listen")));
    }
    if let Some(format) = flags.log {
        process.log.format = Some(Input::flag(format, "--log"));
    }
}

fn brand(brand: &mut BrandInput) -> Brand {
    let name = &brand.name;
    let key_prefix = brand.key_prefix.get_or_insert_with(|| name.derived(prefix_of(&name.value)));
    let color = brand.color.as_ref().map(|color| color.value.clone());
    Brand { name: name.value.clone(), key_prefix: key_prefix.value.clone(), color }
}

/// Returns the default key prefix of a brand: the name's ASCII letters and digits, in lowercase. A name without any
/// gets a prefix that names no product.
fn prefix_of(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric).take(api_key::PREFIX_LEN_MAX);
    let prefix: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    if prefix.is_empty() { "gateway".to_owned() } else { prefix }
}

fn connections(connections: &ConnectionsInput, in_flight: u32) -> Connections {
    let half = (in_flight / PARTS_OF_ANONYMOUS).max(1);
    let of_address = (in_flight / PARTS_OF_ADDRESS).max(OF_ADDRESS_MIN).min(half);
    Connections {
        max: connections.max.value,
        per_address: connections.per_address.value,
        keep_alive: connections.keep_alive.value,
        in_flight_per_key: connections.in_flight_per_key.value,
        in_flight_per_address: connections.in_flight_per_address.as_ref().map_or(of_address, |number| number.value),
        in_flight_anonymous: connections.in_flight_anonymous.as_ref().map_or(half, |number| number.value),
    }
}

fn control(reader: &SettingsReader<'_>, control: &mut ControlInput, tls: Option<TlsSettings>) -> Control {
    let origins = &mut control.cors.allowed_origins;
    origins.dedup();
    Control {
        listen: control.listen.value.clone(),
        socket_mode: control.socket_mode.value,
        tls,
        connections: control.connections.plain(),
        call_timeout: control.timeout.value,
        allowed_origins: origins.list.iter().map(|origin| origin.value.clone()).collect(),
        rate_limits: limit::control_limits(reader, &mut control.rate_limits),
        api_references: control.config.plain(),
    }
}
