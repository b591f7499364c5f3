//! The current snapshot, which a reload replaces.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::snapshot::Snapshot;

/// Shares the current snapshot between threads. A request loads it once and uses it to its end.
#[derive(Debug)]
pub struct Live {
    current: ArcSwap<Snapshot>,
}

impl Live {
    /// Creates the container with `snapshot`.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        Self { current: ArcSwap::new(snapshot) }
    }

    /// Returns the current snapshot without changing its reference count, for a short use.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Returns the current snapshot with an own reference count.
    #[must_use]
    pub fn load_full(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Replaces the snapshot; requests that use the old one keep it. Upstreams and providers whose members are found begin
    /// with those that the ones of the same name have.
    pub fn store(&self, snapshot: Arc<Snapshot>) {
        let before = self.current.load();
        for upstream in &snapshot.traffic.upstreams {
            let Some(discovery) = &upstream.discovery else { continue };
            if let Some(known) = before.traffic.upstreams.iter().find(|known| known.name == upstream.name) {
                discovery.begin_with(known.backends());
            }
        }
        for provider in snapshot.traffic.known_providers() {
            let known = before.traffic.provider(&provider.name).filter(|known| known.origin == provider.origin);
            if let Some((discovery, known)) =
                provider.discovery.as_ref().zip(known.and_then(|known| known.discovery.as_ref()))
            {
                discovery.begin_with(known.list().backends.clone());
            }
        }
        self.current.store(snapshot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Sources, load};
    use crate::sources::flags::Flags;

    #[test]
    fn who_holds_the_old_snapshot_keeps_it() {
        let none = crate::Environment::default();
        let first = load(Sources { file: None, environment: &none, flags: Flags::default() }).unwrap().snapshot;
        let mut second = first.clone();
        second.process.brand.name = "Second".to_owned();
        let live = Live::new(Arc::new(first));
        let held = live.load();
        let kept = live.load_full();
        live.store(Arc::new(second));
        assert_eq!((held.process.brand.name.as_str(), kept.process.brand.name.as_str()), ("Tollgate", "Tollgate"));
        assert_eq!(live.load().process.brand.name, "Second");
    }
}
