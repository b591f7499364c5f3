//! The keys that are set, and their sources; keys that are absent here have defaults.

use std::collections::BTreeMap;

use super::SettingOrigin;
use crate::load::Flags;
use crate::section::Reader;
use crate::yaml::{Kind, Node};

/// Lists whose entries may be missing in the snapshot, and the key that names their entries.
const NAMED: [(&str, &str); 3] = [("providers", "name"), ("models", "name"), ("prices", "model")];

/// Keys that are set, by their full names.
#[derive(Debug, Clone, Default)]
pub(crate) struct SettingSources {
    keys: BTreeMap<String, SettingOrigin>,
    /// The number of entries of each list.
    lengths: BTreeMap<String, usize>,
    /// The index of each entry in its list, by list and name.
    entries: BTreeMap<(&'static str, String), usize>,
}

impl SettingSources {
    /// Collects the keys of the tree, and those of the flags, which override it. A forced mock replaces the list of
    /// providers.
    pub(crate) fn in_tree(reader: &Reader<'_>, root: &Node, flags: &Flags, mock_forced: bool) -> Self {
        let mut setting_sources = Self::default();
        setting_sources.add(reader, root, String::new());
        if let Kind::Map(sections) = &root.kind {
            for (list, key) in NAMED {
                let items = sections.iter().find(|(section, _)| section.name == list).map(|(_, node)| &node.kind);
                if let Some(Kind::List(items)) = items {
                    setting_sources.name_entries(reader, items, (list, key));
                }
            }
        }
        let flagged = [
            ("data", "--data", flags.data.is_some()),
            ("listen", "--listen", flags.listen.is_some()),
            ("control.listen", "--addr", flags.addr.is_some()),
            ("log.format", "--log", flags.log.is_some()),
            ("mock", "--mock", flags.mock),
        ];
        for (key, flag, _) in flagged.into_iter().filter(|(_, _, set)| *set) {
            setting_sources.forget_entries(key);
            setting_sources.keys.insert(key.to_owned(), SettingOrigin::Flag(flag));
        }
        if mock_forced {
            setting_sources.forget_entries("providers");
        }
        setting_sources
    }

    /// Removes the entries of a list that a flag replaces as a whole.
    fn forget_entries(&mut self, list: &str) {
        let entry = format!("{list}[");
        self.lengths.remove(list);
        self.keys.retain(|key, _| !key.starts_with(&entry));
        self.entries.retain(|(of, _), _| *of != list);
    }

    fn add(&mut self, reader: &Reader<'_>, node: &Node, path: String) {
        let from = match (reader.variable_at(node.at), node.at.place()) {
            (Some(variable), _) => SettingOrigin::Variable(variable),
            (None, Some(place)) => SettingOrigin::File { file: reader.file().to_owned(), line: place.line },
            (None, None) => SettingOrigin::Default,
        };
        match &node.kind {
            Kind::Null => return,
            Kind::Scalar(_) => {}
            Kind::List(items) => {
                self.lengths.insert(path.clone(), items.len());
                items.iter().enumerate().for_each(|(index, item)| self.add(reader, item, format!("{path}[{index}]")));
            }
            Kind::Map(entries) => {
                for (key, value) in entries {
                    let whole = if path.is_empty() { key.name.clone() } else { format!("{path}.{}", key.name) };
                    self.add(reader, value, whole);
                }
            }
        }
        if !path.is_empty() {
            self.keys.insert(path, from);
        }
    }

    fn name_entries(&mut self, reader: &Reader<'_>, items: &[Node], (list, key): (&'static str, &str)) {
        for (index, item) in items.iter().enumerate() {
            let Kind::Map(keys) = &item.kind else { continue };
            let text = |key: &str| {
                keys.iter().find(|(name, _)| name.name == key).and_then(|(_, value)| reader.text(value, key))
            };
            let Some(name) = text(key) else { continue };
            // A model may have several prices, each with its own first day.
            let from = if list == "prices" { text("from") } else { None };
            let name = from.map_or(name.value.clone(), |from| format!("{}@{}", name.value, from.value));
            self.entries.entry((list, name)).or_insert(index);
        }
    }

    /// Returns the source of the first of `keys` that is set.
    pub(super) fn from(&self, keys: &[&str]) -> SettingOrigin {
        keys.iter().find_map(|key| self.keys.get(*key)).cloned().unwrap_or(SettingOrigin::Default)
    }

    /// Whether `key` is set to a list.
    pub(super) fn is_list(&self, key: &str) -> bool {
        self.lengths.contains_key(key)
    }

    /// Returns the index of `name` in `list`.
    pub(super) fn entry(&self, list: &'static str, name: &str) -> Option<usize> {
        self.entries.get(&(list, name.to_owned())).copied()
    }

    /// Returns the number of entries of `list`.
    pub(super) fn len(&self, list: &str) -> usize {
        self.lengths.get(list).copied().unwrap_or_default()
    }
}
