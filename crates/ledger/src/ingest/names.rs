//! Numbers for strings and subjects that repeat in usage events.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use access::{LabelId, LabelSet, Subject, SubjectId, SubjectName};
use store::sql::{BulkTransaction, statements};
use store::{DatabaseError, Store};

use crate::stored_text::clip;

/// Maximum number of names in memory. Clients choose the model names that they request, so names are unbounded.
const KNOWN_MAX: usize = 10_000;
/// Maximum number of label sets in the store; requests of further sets have the number -1, as
/// `FIND_LABELS` says.
pub(crate) const LABEL_SETS_MAX: i64 = 1_000;
/// The number of requests without labels.
pub(crate) const NO_LABELS: i64 = 0;
/// Number of names of a batch that are remembered by their addresses.
const RECENT_MAX: usize = 128;
/// Distributes addresses: 2^64 divided by the golden ratio.
const ADDRESS_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

// `no` is the greatest number plus one; `NameKind::lock_names` prevents concurrent assignment of the same number.
statements! {
    ADD = "INSERT INTO names (id, no, kind, name, created_at, updated_at)
        VALUES ($1, (SELECT coalesce(max(no), 0) + 1 FROM names), $2, $3, $4, $4) ON CONFLICT (kind, name) DO NOTHING";
    FIND = "SELECT no FROM names WHERE kind = $1 AND name = $2";
    ADD_SUBJECT = "INSERT INTO subjects (id, no, kind, issuer, name, created_at, updated_at)
        VALUES ($1, (SELECT coalesce(max(no), 0) + 1 FROM subjects), $2, $3, $4, $5, $5)
        ON CONFLICT (kind, issuer, name) DO NOTHING";
    ADD_LABELS = "INSERT INTO label_sets (id, no, labels, created_at, updated_at)
        SELECT $1, (SELECT coalesce(max(no), 0) + 1 FROM label_sets), $2, $3, $3 FROM (SELECT count(*) AS sets FROM label_sets) known
        WHERE known.sets < $4 ON CONFLICT (labels) DO NOTHING";
    FIND_LABELS = "SELECT coalesce((SELECT no FROM label_sets WHERE labels = $1), -1)";
    ADD_MEMBER = "INSERT INTO label_members (id, label_id, name, value, label_set_no, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (label_id, label_set_no) DO NOTHING";
    FIND_SUBJECT = "SELECT no FROM subjects WHERE kind = $1 AND issuer = $2 AND name = $3";
}

/// The kind of object that has the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NameKind {
    Route,
    Model,
    Provider,
    Price,
    /// A set of labels, which has its own table.
    Labels,
}

impl NameKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Price => "price",
            Self::Labels => "labels",
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
    labels: HashMap<Arc<str>, i64>,
    subjects: HashMap<Subject, i64>,
}

/// The names and subjects of a batch that are not cached.
#[derive(Debug, Default)]
pub(crate) struct UnknownNames<'a> {
    names: BTreeSet<(NameKind, &'a str)>,
    subjects: BTreeSet<SubjectName<'a>>,
}

/// The numbers of the names in a batch. Most events repeat a few names, whose memory the reader of the spool shares, so
/// their addresses are compared instead of the texts.
#[derive(Debug)]
pub(crate) struct BatchNames<'n, 'a> {
    names: &'n Names,
    /// A vector of [`RECENT_MAX`] places.
    recent: Vec<Option<RecentName<'a>>>,
    unknown: UnknownNames<'a>,
}

#[derive(Debug, Clone, Copy)]
struct RecentName<'a> {
    kind: NameKind,
    name: &'a str,
    no: i64,
}

impl UnknownNames<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.subjects.is_empty()
    }
}

impl<'n, 'a> BatchNames<'n, 'a> {
    pub(crate) fn new(names: &'n Names) -> Self {
        let unknown = UnknownNames { names: BTreeSet::new(), subjects: BTreeSet::new() };
        Self { names, recent: vec![None; RECENT_MAX], unknown }
    }

    /// Returns the number of a cached name; other names are unknown.
    pub(crate) fn get(&mut self, kind: NameKind, name: &'a str) -> Option<i64> {
        let address = (name.as_ptr().addr() as u64).wrapping_add(kind as u64).wrapping_mul(ADDRESS_FACTOR);
        let slot = (address >> 32) as usize % RECENT_MAX;
        let recent = self.recent.get_mut(slot)?;
        if let Some(recent) = recent.filter(|recent| recent.kind == kind && std::ptr::eq(recent.name, name)) {
            return Some(recent.no);
        }
        let no = self.names.get(kind, name);
        match no {
            Some(no) => *recent = Some(RecentName { kind, name, no }),
            None => _ = self.unknown.names.insert((kind, stored(kind, name))),
        }
        no
    }

    /// Returns the number of a cached set of labels.
    pub(crate) fn labels(&mut self, labels: &'a LabelSet) -> i64 {
        if labels.is_empty() {
            return NO_LABELS;
        }
        self.get(NameKind::Labels, labels.as_str()).unwrap_or(NO_LABELS)
    }

    /// Returns the number of a cached subject; `None` for keys and anonymous clients, which have none.
    pub(crate) fn subject(&mut self, subject: &'a Subject) -> Option<i64> {
        let named = subject.name()?;
        let no = self.names.subject(subject);
        if no.is_none() {
            self.unknown.subjects.insert(named);
        }
        no
    }

    pub(crate) fn unknown(self) -> UnknownNames<'a> {
        self.unknown
    }
}

impl Names {
    /// Returns the number of a cached name.
    pub(crate) fn get(&self, kind: NameKind, name: &str) -> Option<i64> {
        let known = self.numbers(kind);
        // Almost all names are shorter than the limit, and `clip` reads a whole name.
        known.get(name).or_else(|| known.get(stored(kind, name))).copied()
    }

    /// Returns the number of a cached set of labels.
    pub(crate) fn labels(&self, labels: &LabelSet) -> i64 {
        if labels.is_empty() { NO_LABELS } else { self.get(NameKind::Labels, labels.as_str()).unwrap_or(NO_LABELS) }
    }

    /// Returns the number of a cached subject; `None` for keys and anonymous clients, which have none.
    pub(crate) fn subject(&self, subject: &Subject) -> Option<i64> {
        subject.name().and_then(|_| self.subjects.get(subject).copied())
    }

    /// Clears the cache if it is full.
    pub(crate) fn forget_if_full(&mut self) {
        let names = [&self.routes, &self.models, &self.providers, &self.prices, &self.labels];
        if names.iter().any(|known| known.len() > KNOWN_MAX) || self.subjects.len() > KNOWN_MAX {
            self.forget();
        }
    }

    /// Caches the numbers of names and subjects, and stores new ones.
    pub(crate) async fn learn(
        &mut self,
        store: &Store,
        transaction: &mut BulkTransaction,
        unknown: UnknownNames<'_>,
    ) -> Result<(), DatabaseError> {
        if let Some(lock) = transaction.kind().lock_names() {
            transaction.query(lock).run().await?;
        }
        for (kind, name) in unknown.names {
            if kind == NameKind::Labels {
                let no = learn_labels(store, transaction, name).await?;
                self.labels.insert(Arc::from(name), no);
                continue;
            }
            let add = transaction.query(ADD).bind(store.new_id()).bind(kind.as_str()).bind(name).bind(store.now());
            add.run().await?;
            let (no,) = transaction.query(FIND).bind(kind.as_str()).bind(name).one().await?;
            self.numbers_mut(kind).insert(Arc::from(name), no);
        }
        for named in unknown.subjects {
            let SubjectName { kind, issuer, name } = named;
            let kind = kind.as_str();
            let id = SubjectId::of_name(named).0;
            let add = transaction.query(ADD_SUBJECT).bind(id).bind(kind).bind(issuer).bind(name);
            add.bind(store.now()).run().await?;
            let (no,) = transaction.query(FIND_SUBJECT).bind(kind).bind(issuer).bind(name).one().await?;
            self.subjects.extend(named.subject().map(|subject| (subject, no)));
        }
        Ok(())
    }

    /// Clears the cache; called after a transaction that added names was not committed.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    const fn numbers(&self, kind: NameKind) -> &HashMap<Arc<str>, i64> {
        match kind {
            NameKind::Route => &self.routes,
            NameKind::Model => &self.models,
            NameKind::Provider => &self.providers,
            NameKind::Price => &self.prices,
            NameKind::Labels => &self.labels,
        }
    }

    const fn numbers_mut(&mut self, kind: NameKind) -> &mut HashMap<Arc<str>, i64> {
        match kind {
            NameKind::Route => &mut self.routes,
            NameKind::Model => &mut self.models,
            NameKind::Provider => &mut self.providers,
            NameKind::Price => &mut self.prices,
            NameKind::Labels => &mut self.labels,
        }
    }
}

/// Returns the part of a name that is stored. Labels have bounds of their own.
fn stored(kind: NameKind, name: &str) -> &str {
    if kind == NameKind::Labels { name } else { clip(name) }
}

/// Returns the number of a set of labels, and stores the set if there is room.
async fn learn_labels(store: &Store, transaction: &mut BulkTransaction, labels: &str) -> Result<i64, DatabaseError> {
    let add = transaction.query(ADD_LABELS).bind(store.new_id()).bind(labels).bind(store.now());
    let added = add.bind(LABEL_SETS_MAX).run().await?;
    let (no,): (i64,) = transaction.query(FIND_LABELS).bind(labels).one().await?;
    if added > 0 {
        for (name, value) in LabelSet::of_text(labels).pairs() {
            let id = LabelId::from_label(&format!("{name}={value}"));
            let add = transaction.query(ADD_MEMBER).bind(store.new_id()).bind(id.0).bind(name).bind(value);
            add.bind(no).bind(store.now()).run().await?;
        }
    }
    Ok(no)
}
