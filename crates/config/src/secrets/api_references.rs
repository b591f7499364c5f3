//! The rule for references in texts of the API: which files and variables they may name.
//!
//! Accepted values keep their references: an entry that is the same in the configuration file or in the running
//! configuration, and settings from variables. Every other reference must be listed in `control.config` of the file.
//!
//! The values of an entry may be sent to a host that another one names: those of a route to its upstreams, whose addresses
//! may come from a name server, etcd or Consul. So these must be the same as in the text that has the entry, too.

use std::collections::HashSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use settings::error::{Code, Problem, ValueOrigin};
use settings::section::ReferenceRule;
use settings::substitute::split_reference;
use settings::yaml::{Kind, YamlNode};

use crate::snapshot::ApiReferences;
use crate::sources::file::FILE_BYTES_MAX;

const ROUTES: &str = "routes";
const UPSTREAMS: &str = "upstreams";
/// The sections that find addresses of upstreams.
const SOURCES: [&str; 3] = ["dns", "etcd", "consul"];

/// The rule for one text of the API.
pub(crate) struct ApiRule {
    allowed: ApiReferences,
    /// The keys and the entries of lists that an accepted text has too: `metrics`, `providers[0]`. Their values are sent to
    /// the hosts of that text.
    unchanged: HashSet<String>,
}

/// The reason why a text of the API may not have a value.
#[derive(Debug, PartialEq, Eq)]
enum ReferenceRefusal {
    /// The variable is not listed.
    Variable(String),
    /// The file is in no listed folder.
    File(PathBuf),
    /// The file is no regular file, too large, or cannot be read.
    Unreadable { path: PathBuf, reason: String },
}

impl ApiRule {
    /// Returns the rule for `posted`. All trees have the settings from variables.
    pub(crate) fn new(allowed: ApiReferences, posted: &YamlNode, accepted: &[YamlNode]) -> Self {
        let unchanged = accepted.iter().flat_map(|accepted| unchanged(posted, accepted)).collect();
        Self { allowed, unchanged }
    }

    fn variables(&self, text: &str) -> Result<(), ReferenceRefusal> {
        let mut rest = text;
        while let Some((_, after)) = split_reference(rest) {
            rest = after;
            let inner = after.split('}').next().unwrap_or_default();
            let name = inner.split(":-").next().unwrap_or_default();
            if !self.allowed.variables.iter().any(|allowed| allowed == name) {
                return Err(ReferenceRefusal::Variable(name.to_owned()));
            }
        }
        Ok(())
    }

    /// Checks that a folder of the list contains the file, also after symbolic links are followed. The text of the path
    /// decides first, so that nothing outside of the folders is looked up.
    fn file(&self, path: &Path) -> Result<(), ReferenceRefusal> {
        let refused = || ReferenceRefusal::File(path.to_owned());
        let unreadable = |reason: String| ReferenceRefusal::Unreadable { path: path.to_owned(), reason };
        let is_plain = path.components().all(|part| part != Component::ParentDir);
        let mut folders = self.allowed.files.iter().filter(|folder| path.starts_with(folder)).peekable();
        if !is_plain || folders.peek().is_none() {
            return Err(refused());
        }
        let real = fs::canonicalize(path).map_err(|error| unreadable(error.to_string()))?;
        if !folders.any(|folder| fs::canonicalize(folder).is_ok_and(|folder| real.starts_with(folder))) {
            return Err(refused());
        }
        let metadata = fs::metadata(&real).map_err(|error| unreadable(error.to_string()))?;
        if !metadata.is_file() {
            return Err(unreadable("it is not a regular file".to_owned()));
        }
        if metadata.len() > FILE_BYTES_MAX {
            return Err(unreadable(format!("it is larger than {FILE_BYTES_MAX} bytes")));
        }
        Ok(())
    }
}

impl ReferenceRule for ApiRule {
    fn check_text(&self, at: ValueOrigin, key: &str, text: &str, folder: &Path) -> Option<Problem> {
        if self.is_accepted(at, key) {
            return None;
        }
        // A path may contain variables, which are replaced before the file is opened.
        let file = || text.strip_prefix("file:").map_or(Ok(()), |path| self.file(&folder.join(path)));
        self.variables(text).and_then(|()| file()).err().map(|refusal| refusal.problem(at, key))
    }

    fn check_file(&self, at: ValueOrigin, key: &str, path: &Path) -> Option<Problem> {
        if self.is_accepted(at, key) { None } else { self.file(path).err().map(|refusal| refusal.problem(at, key)) }
    }

    /// Whether the value was accepted before, or is a setting from a variable. A text cannot change such a setting, but the
    /// hosts to which its values are sent.
    fn is_accepted(&self, at: ValueOrigin, key: &str) -> bool {
        let entry = key.split('.').next().unwrap_or_default();
        let list = list_of(key);
        let is_own = at.place().is_none() && ![ROUTES, UPSTREAMS].contains(&list);
        is_own || self.unchanged.contains(entry) || self.unchanged.contains(list)
    }
}

impl ReferenceRefusal {
    /// Returns the problem of the value at `key`.
    fn problem(self, at: ValueOrigin, key: &str) -> Problem {
        let same = match list_of(key) {
            ROUTES => {
                "or the route, its upstreams, `dns`, `etcd` and `consul` as they are in force: change these in the file"
            }
            UPSTREAMS => "or the entry, `dns`, `etcd` and `consul` as they are in force: change these in the file",
            _ => "or the entry as it is in force",
        };
        let forbidden = |message: String| Problem::new(Code::ForbiddenReference, at, message);
        match self {
            Self::Variable(name) => {
                let expected = format!("{name} in `control.config.variables` of the configuration file, {same}");
                forbidden(format!("`{key}` refers to the variable {name}, which the API may not use"))
                    .expected(expected)
            }
            Self::File(path) => {
                let expected =
                    format!("a file in a folder of `control.config.files` of the configuration file, {same}");
                forbidden(format!("`{key}` refers to {}, which the API may not use", path.display())).expected(expected)
            }
            Self::Unreadable { path, reason } => {
                let message = format!("`{key}` names {}, which cannot be read: {reason}", path.display());
                Problem::new(Code::File, at, message).expected("a regular file")
            }
        }
    }
}

/// Returns the list, or the section, of the key of a value: `routes` of `routes[0].path`.
fn list_of(key: &str) -> &str {
    key.split(['.', '[']).next().unwrap_or_default()
}

/// Returns the keys and the entries of lists that both trees have, and whose values both send to the same hosts.
fn unchanged(posted: &YamlNode, accepted: &YamlNode) -> Vec<String> {
    let Kind::Map(entries) = &posted.kind else { return Vec::new() };
    let Kind::Map(known) = &accepted.kind else { return Vec::new() };
    let mut unchanged = Vec::new();
    for (key, value) in entries {
        let Some((_, known)) = known.iter().find(|(other, _)| other.name == key.name) else { continue };
        let reaches_same = |item: &YamlNode| match key.name.as_str() {
            ROUTES => has_same_upstreams(item, posted, accepted),
            UPSTREAMS => has_same_sources(posted, accepted),
            _ => true,
        };
        // Each route may have other upstreams.
        if key.name != ROUTES && is_same(value, known) && reaches_same(value) {
            unchanged.push(key.name.clone());
        } else if let Kind::List(items) = &value.kind
            && let Kind::List(known) = &known.kind
        {
            let is_known = |item: &YamlNode| known.iter().any(|known| is_same(item, known));
            let same = items.iter().enumerate().filter(|(_, item)| is_known(item) && reaches_same(item));
            unchanged.extend(same.map(|(index, _)| format!("{}[{index}]", key.name)));
        }
    }
    unchanged
}

/// Whether both trees have the same upstreams of a route, with the same sources of addresses.
fn has_same_upstreams(route: &YamlNode, posted: &YamlNode, accepted: &YamlNode) -> bool {
    let Some(upstreams) = route.find(UPSTREAMS) else { return true };
    let names: Vec<Option<&str>> = match &upstreams.kind {
        Kind::Scalar(name) => vec![Some(name.as_str())],
        Kind::List(items) => items.iter().map(|item| text(item).or_else(|| name_of(item))).collect(),
        Kind::Null | Kind::Map(_) => vec![None],
    };
    let is_same_upstream = |name: Option<&str>| {
        let found = name.map(|name| [posted, accepted].map(|tree| upstreams_named(tree, name)));
        // A name that is not found may be a reference.
        found.is_some_and(|[new, old]| matches!((&*new, &*old), ([new], [old]) if is_same(new, old)))
    };
    has_same_sources(posted, accepted) && names.into_iter().all(is_same_upstream)
}

/// Returns the entries of `upstreams` with this name.
fn upstreams_named<'a>(tree: &'a YamlNode, name: &str) -> Vec<&'a YamlNode> {
    let Some(Kind::List(upstreams)) = tree.find(UPSTREAMS).map(|node| &node.kind) else { return Vec::new() };
    upstreams.iter().filter(|upstream| name_of(upstream) == Some(name)).collect()
}

fn name_of(entry: &YamlNode) -> Option<&str> {
    entry.find("name").and_then(text)
}

fn text(node: &YamlNode) -> Option<&str> {
    if let Kind::Scalar(text) = &node.kind { Some(text) } else { None }
}

/// Whether both trees find addresses of upstreams with the same sections.
fn has_same_sources(posted: &YamlNode, accepted: &YamlNode) -> bool {
    SOURCES.iter().all(|key| match (posted.find(key), accepted.find(key)) {
        (Some(new), Some(old)) => is_same(new, old),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    })
}

/// Whether both values are the same, position aside. Values of variables are the same as such only, because they are read
/// differently.
fn is_same(a: &YamlNode, b: &YamlNode) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::Null, Kind::Null) => true,
        (Kind::Scalar(one), Kind::Scalar(other)) => one == other && a.at.place().is_some() == b.at.place().is_some(),
        (Kind::List(one), Kind::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| is_same(a, b))
        }
        (Kind::Map(one), Kind::Map(other)) => {
            let has = |(key, value): &(settings::yaml::YamlKey, YamlNode)| {
                other.iter().any(|(known, other)| known.name == key.name && is_same(value, other))
            };
            one.len() == other.len() && one.iter().all(has)
        }
        _ => false,
    }
}
