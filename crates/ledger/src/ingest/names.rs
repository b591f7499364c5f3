//! Numbers for strings that repeat in usage events.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use meter::{Counts, UsageEvent};
use store::sql::{Transaction, statements};
use store::{DatabaseError, Store};

/// Maximum number of names in memory. Clients choose the model names that they request, so names are unbounded.
const KNOWN_MAX: usize = 10_000;
/// Maximum number of bytes of a name; clients also choose the length.
const NAME_BYTES_MAX: usize = 200;

// `no` is the greatest number plus one; `NameKind::lock_names` prevents concurrent assignment of the same number.
statements! {
    ADD = "INSERT INTO names (id, no, kind, name, created_at, updated_at)
        VALUES ($1, (SELECT coalesce(max(no), 0) + 1 FROM names), $2, $3, $4, $4) ON CONFLICT (kind, name) DO NOTHING";
    FIND = "SELECT no FROM names WHERE kind = $1 AND name = $2";
}

/// The kind of object that has the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NameKind {
    Route,
    Model,
    Provider,
    Price,
}

impl NameKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Price => "price",
        }
    }
}

/// The names and numbers that this process has cached.
#[derive(Debug, Default)]
pub(crate) struct Names {
    routes: HashMap<Arc<str>, i64>,
    models: HashMap<Arc<str>, i64>,
    providers: HashMap<Arc<str>, i64>,
    prices: HashMap<Arc<str>, i64>,
}

impl Names {
    /// Returns the number of a cached name.
    pub(crate) fn get(&self, kind: NameKind, name: &str) -> Option<i64> {
        self.of(kind).get(clip(name)).copied()
    }

    /// Caches the numbers of all names in the batch, and stores new names.
    pub(crate) async fn learn(
        &mut self,
        store: &Store,
        transaction: &mut Transaction,
        events: &[&UsageEvent],
        counts: &[&Counts],
    ) -> Result<(), DatabaseError> {
        if [&self.routes, &self.models, &self.providers, &self.prices].iter().any(|known| known.len() > KNOWN_MAX) {
            self.forget();
        }
        let unknown = self.unknown(events, counts);
        if let Some(lock) = transaction.kind().lock_names().filter(|_| !unknown.is_empty()) {
            transaction.query(lock).run().await?;
        }
        for (kind, name) in unknown {
            let add = transaction.query(ADD).bind(store.new_id()).bind(kind.as_str()).bind(name).bind(store.now());
            add.run().await?;
            let (no,) = transaction.query(FIND).bind(kind.as_str()).bind(name).one().await?;
            self.of_mut(kind).insert(Arc::from(name), no);
        }
        Ok(())
    }

    /// Clears the cache; called after a transaction that added names was not committed.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    fn unknown<'a>(&self, events: &[&'a UsageEvent], counts: &[&'a Counts]) -> BTreeSet<(NameKind, &'a str)> {
        let mut unknown = BTreeSet::new();
        let mut note = |kind, name: &'a str| {
            if self.get(kind, name).is_none() {
                unknown.insert((kind, clip(name)));
            }
        };
        for event in events {
            note(NameKind::Route, &event.route);
            if let Some(model) = &event.model {
                note(NameKind::Model, model);
            }
            for attempt in &event.attempts {
                note(NameKind::Provider, &attempt.provider);
                for model in [&attempt.model, &attempt.answered_model].into_iter().flatten() {
                    note(NameKind::Model, model);
                }
                if let Some(version) = &attempt.price_version {
                    note(NameKind::Price, version);
                }
            }
        }
        for counts in counts {
            note(NameKind::Route, &counts.route);
        }
        unknown
    }

    const fn of(&self, kind: NameKind) -> &HashMap<Arc<str>, i64> {
        match kind {
            NameKind::Route => &self.routes,
            NameKind::Model => &self.models,
            NameKind::Provider => &self.providers,
            NameKind::Price => &self.prices,
        }
    }

    const fn of_mut(&mut self, kind: NameKind) -> &mut HashMap<Arc<str>, i64> {
        match kind {
            NameKind::Route => &mut self.routes,
            NameKind::Model => &mut self.models,
            NameKind::Provider => &mut self.providers,
            NameKind::Price => &mut self.prices,
        }
    }
}

/// Returns the part of an external text that is stored: at most 200 bytes, and nothing from a NUL on, which
/// PostgreSQL's text cannot represent.
pub(crate) fn clip(text: &str) -> &str {
    let text = text.split('\0').next().unwrap_or_default();
    text.get(..text.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or_default()
}
