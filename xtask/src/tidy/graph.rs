//! The dependency graph that cargo resolved.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;

use anyhow::Context;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Node, PackageId};

/// The resolved packages of the whole workspace.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// All packages; edges refer to their indexes.
    pub(crate) packages: Vec<Package>,
    /// Enabled normal and build dependencies: the dependent package and its dependency.
    pub(crate) edges: Vec<(usize, usize)>,
}

/// One package of the graph.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    /// The name in the manifest.
    pub(crate) name: String,
    /// The version in the manifest.
    pub(crate) version: String,
    /// The path of its `Cargo.toml` from the root; empty outside the workspace.
    pub(crate) manifest: String,
    /// Whether it is a member of this workspace.
    pub(crate) member: bool,
    /// Whether it may be published.
    pub(crate) publishable: bool,
    /// The licence as SPDX expression, if the manifest has one.
    pub(crate) licence: Option<String>,
    /// The source, if it is neither this workspace nor the public registry.
    pub(crate) foreign_source: Option<String>,
    /// The names of the normal and build dependencies in its manifest.
    pub(crate) dependencies: Vec<String>,
}

impl Graph {
    /// Runs `cargo metadata` for the workspace at `root` and the current platform.
    ///
    /// # Errors
    /// Cargo fails.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let metadata = MetadataCommand::new()
            .current_dir(root)
            .other_options(["--filter-platform".to_owned(), triple])
            .exec()
            .context("cargo metadata failed")?;
        Self::of(&metadata, root)
    }

    fn of(metadata: &Metadata, root: &Path) -> anyhow::Result<Self> {
        let resolve = metadata.resolve.as_ref().context("cargo metadata contains no resolved graph")?;
        let packages: HashMap<&PackageId, &cargo_metadata::Package> =
            metadata.packages.iter().map(|package| (&package.id, package)).collect();
        let nodes: Vec<(&Node, &cargo_metadata::Package)> =
            resolve.nodes.iter().filter_map(|node| Some((node, *packages.get(&node.id)?))).collect();
        let index: BTreeMap<&PackageId, usize> =
            nodes.iter().enumerate().map(|(index, (node, _))| (&node.id, index)).collect();
        let mut graph = Self::default();
        for (from, (node, package)) in nodes.iter().enumerate() {
            graph.packages.push(Package::of(package, metadata, root));
            let live = node.deps.iter().filter(|dep| {
                let named = packages.get(&dep.pkg).map_or("", |package| package.name.as_str());
                dep.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development) && is_on(package, node, named)
            });
            graph.edges.extend(live.filter_map(|dep| Some((from, *index.get(&dep.pkg)?))));
        }
        Ok(graph)
    }

    /// The chain of dependencies from the package `from` to the package `to`, both included.
    pub(crate) fn dependency_path(&self, from: &str, to: &str) -> Option<Vec<&str>> {
        let start = self.packages.iter().position(|package| package.name == from)?;
        let mut reached_from: HashMap<usize, usize> = HashMap::from([(start, start)]);
        let mut queue = VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            if self.packages.get(at)?.name == to {
                return Some(self.walk_back(&reached_from, at));
            }
            for (_, next) in self.edges.iter().filter(|(who, _)| *who == at) {
                reached_from.entry(*next).or_insert_with(|| {
                    queue.push_back(*next);
                    at
                });
            }
        }
        None
    }

    fn walk_back(&self, reached_from: &HashMap<usize, usize>, end: usize) -> Vec<&str> {
        let mut path = Vec::new();
        let mut at = end;
        while let (Some(package), Some(before)) = (self.packages.get(at), reached_from.get(&at)) {
            path.push(package.name.as_str());
            if *before == at {
                break;
            }
            at = *before;
        }
        path.reverse();
        path
    }

    /// The packages of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.member)
    }
}

impl Package {
    fn of(package: &cargo_metadata::Package, metadata: &Metadata, root: &Path) -> Self {
        let member = metadata.workspace_members.contains(&package.id);
        let manifest = package.manifest_path.as_std_path();
        let built_with =
            package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
        let foreign_source = match &package.source {
            Some(source) if source.is_crates_io() => None,
            Some(source) => Some(source.repr.clone()),
            None if member => None,
            None => Some(manifest.display().to_string()),
        };
        Self {
            name: package.name.to_string(),
            version: package.version.to_string(),
            manifest: manifest.strip_prefix(root).map(|path| path.display().to_string()).unwrap_or_default(),
            member,
            publishable: package.publish.as_ref().is_none_or(|registries| !registries.is_empty()),
            licence: package.license.clone(),
            foreign_source,
            dependencies: built_with.map(|dependency| dependency.name.clone()).collect(),
        }
    }
}

/// Whether an enabled feature that is not weak (`ring?/alloc`) enables the dependency. `cargo metadata` lists both
/// kinds.
fn is_on(package: &cargo_metadata::Package, node: &Node, named: &str) -> bool {
    let mut declared = package.dependencies.iter().filter(|dependency| dependency.name == named).peekable();
    if declared.peek().is_none() {
        return true;
    }
    declared.any(|dependency| {
        let name = dependency.rename.as_deref().unwrap_or(&dependency.name);
        let switches = |value: &String| *value == format!("dep:{name}") || value.starts_with(&format!("{name}/"));
        !dependency.optional
            || node.features.iter().any(|feature| {
                **feature == *name || package.features.get(&**feature).is_some_and(|values| values.iter().any(switches))
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_contains_every_package_between() {
        let package = |name: &str| Package { name: name.to_owned(), ..Package::default() };
        let graph = Graph {
            packages: ["tollgate", "store", "sqlx", "ring", "other"].map(package).into(),
            edges: vec![(0, 1), (1, 2), (2, 3), (2, 0)],
        };
        assert_eq!(graph.dependency_path("tollgate", "ring"), Some(vec!["tollgate", "store", "sqlx", "ring"]));
        assert_eq!(graph.dependency_path("tollgate", "other"), None);
    }

    #[test]
    fn a_weak_feature_enables_no_dependency() {
        let read = |features: &str| {
            let metadata = include_str!("graph/weak.json").replace("\"FEATURES\"", features);
            let metadata: Metadata = MetadataCommand::parse(metadata).unwrap();
            Graph::of(&metadata, Path::new("/w")).unwrap()
        };
        assert_eq!(read(r#""alloc""#).dependency_path("a", "ring"), None);
        assert_eq!(read(r#""alloc", "ring""#).dependency_path("a", "ring"), Some(vec!["a", "ring"]));
    }
}
