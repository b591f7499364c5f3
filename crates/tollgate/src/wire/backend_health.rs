//! The health checks of the configuration in force, and where their results go.

use std::sync::{Arc, Mutex, PoisonError};

use config::snapshot::{self, Backend, HealthProbe, Scheme, Upstream};
use config::{Live, Snapshot};
use discovery::{CheckResult, CheckRules, CheckedBackend, CheckedEndpoint, CheckedScheme, Probe};
use proxy::{BackendState, Backends};

/// The backends of a snapshot with these members.
struct BuiltBackends {
    snapshot: Arc<Snapshot>,
    members: Vec<Arc<[Backend]>>,
    targets: Arc<[CheckedBackend]>,
}

impl BuiltBackends {
    fn is_of(&self, snapshot: &Arc<Snapshot>, members: &[Arc<[Backend]>]) -> bool {
        let is_same = |(one, other): (&Arc<[Backend]>, &Arc<[Backend]>)| Arc::ptr_eq(one, other);
        Arc::ptr_eq(&self.snapshot, snapshot)
            && self.members.len() == members.len()
            && self.members.iter().zip(members).all(is_same)
    }
}

/// Returns a function that lists the backends with a check. It builds the list again if the snapshot or members
/// change.
pub(super) fn targets(
    live: Arc<Live>,
    backends: Arc<Backends>,
) -> Arc<dyn Fn() -> Arc<[CheckedBackend]> + Send + Sync> {
    let built: Mutex<Option<BuiltBackends>> = Mutex::default();
    Arc::new(move || {
        let snapshot = live.load_full();
        let mut built = built.lock().unwrap_or_else(PoisonError::into_inner);
        let checks = |upstream: &&Arc<Upstream>| upstream.health_check.is_some();
        let members: Vec<_> =
            snapshot.traffic.upstreams.iter().filter(checks).map(|upstream| upstream.backends()).collect();
        if let Some(built) = built.as_ref().filter(|built| built.is_of(&snapshot, &members)) {
            return built.targets.clone();
        }
        let checked_upstreams = snapshot.traffic.upstreams.iter().filter(checks).zip(&members);
        let targets: Arc<[CheckedBackend]> =
            checked_upstreams.flat_map(|(upstream, members)| checked(upstream, members, &backends)).collect();
        *built = Some(BuiltBackends { snapshot, members, targets: targets.clone() });
        targets
    })
}

/// Returns the members of an upstream with a check.
fn checked(upstream: &Upstream, members: &[Backend], backends: &Backends) -> Vec<CheckedBackend> {
    let Some(check) = &upstream.health_check else { return Vec::new() };
    let shared = Arc::new(health_check(check));
    let states = backends.states_of(&upstream.name, members.iter().map(|backend| &backend.origin));
    let target = |(backend, state): (&Backend, Arc<BackendState>)| CheckedBackend {
        id: format!("{} {}", upstream.name, backend.origin.id()).into(),
        endpoint: endpoint(backend, upstream, check.port),
        check: shared.clone(),
        report: reporter(&state),
    };
    members.iter().zip(states).map(target).collect()
}

/// Returns the function that notes the results of a backend. It does not keep the state of a backend that is removed.
fn reporter(state: &Arc<BackendState>) -> Arc<dyn Fn(Option<CheckResult>) + Send + Sync> {
    let state = Arc::downgrade(state);
    Arc::new(move |checked| {
        let Some(state) = state.upgrade() else { return };
        match checked {
            Some(CheckResult { failure, is_healthy }) => state.checked(failure.as_deref(), is_healthy),
            None => state.unchecked(),
        }
    })
}

fn health_check(check: &snapshot::HealthCheck) -> CheckRules {
    let probe = match &check.probe {
        HealthProbe::Tcp => Probe::Tcp,
        HealthProbe::Script(command) => Probe::Script(command.clone()),
        HealthProbe::Http { path, host, headers, statuses: (first, last) } => {
            Probe::Http { path: path.clone(), host: host.clone(), headers: headers.clone(), statuses: *first..=*last }
        }
        HealthProbe::Grpc { service } => Probe::Grpc { service: service.clone() },
    };
    CheckRules {
        probe,
        interval: check.interval,
        timeout: check.timeout,
        unhealthy_threshold: check.unhealthy_threshold,
        healthy_threshold: check.healthy_threshold,
    }
}

fn endpoint(backend: &Backend, upstream: &Upstream, port: Option<u16>) -> CheckedEndpoint {
    let origin = &backend.origin;
    CheckedEndpoint {
        scheme: match origin.scheme {
            Scheme::Http => CheckedScheme::Http,
            Scheme::Https => CheckedScheme::Https,
            Scheme::H2c => CheckedScheme::H2c,
        },
        host: origin.host.clone(),
        port: port.unwrap_or(origin.port),
        authority: origin.authority.clone(),
        path: origin.path.clone(),
        allow_link_local: origin.allow_link_local,
        tls: upstream.tls.clone(),
    }
}

#[cfg(test)]
mod tests {
    use config::{Environment, Flags, Sources};
    use telemetry::metrics::Metrics;

    use super::*;

    #[test]
    fn members_with_one_address_have_a_check_for_each_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tollgate.yaml");
        let urls = ["http://one.internal", "http://two.internal", "http://10.0.0.7"];
        let entries = urls.map(|url| format!("{{url: '{url}'}}")).join(", ");
        let yaml = format!("upstreams: [{{name: u, health_check: {{path: /}}, backends: [{entries}]}}]");
        std::fs::write(&file, yaml).unwrap();
        let environment = &Environment::default();
        let sources = Sources { file: Some(&file), environment, flags: Flags::default() };
        let snapshot = config::load(sources).unwrap().snapshot;
        let upstream = &snapshot.traffic.upstreams[0];
        let at = |backend: &Backend| Backend {
            origin: backend.origin.with_address("10.0.0.7".to_owned(), 80),
            ..backend.clone()
        };
        let members: Vec<Backend> = upstream.backends().iter().map(at).collect();
        let checked = checked(upstream, &members, &Backends::new(Metrics::new()));
        let ids: Vec<&str> = checked.iter().map(|backend| &*backend.id).collect();
        let address = "u http://10.0.0.7";
        assert_eq!(ids, [&*format!("{address} one.internal"), &*format!("{address} two.internal"), address]);
    }
}
