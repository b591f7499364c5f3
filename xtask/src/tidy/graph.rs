//! The dependency graph that cargo resolved.

use std::path::Path;

use anyhow::Context;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// The resolved packages of the whole workspace.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) packages: Vec<Package>,
}

/// One package of the graph.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    /// The name in the manifest.
    pub(crate) name: String,
    /// The path of its `Cargo.toml` from the root; empty outside the workspace.
    pub(crate) manifest: String,
    /// Whether it is a member of this workspace.
    pub(crate) member: bool,
    /// Whether it may be published.
    pub(crate) publishable: bool,
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
        Ok(Self {
            packages: metadata.packages.iter().map(|package| Package::from_package(package, &metadata, root)).collect(),
        })
    }

    /// The packages of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.member)
    }
}

impl Package {
    fn from_package(package: &cargo_metadata::Package, metadata: &Metadata, root: &Path) -> Self {
        let member = metadata.workspace_members.contains(&package.id);
        let manifest = package.manifest_path.as_std_path();
        let built_with =
            package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
        Self {
            name: package.name.to_string(),
            manifest: manifest.strip_prefix(root).map(|path| path.display().to_string()).unwrap_or_default(),
            member,
            publishable: package.publish.as_ref().is_none_or(|registries| !registries.is_empty()),
            dependencies: built_with.map(|dependency| dependency.name.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_licence_is_here_in_full() {
        let licence = include_str!("../../../LICENSE");
        for part in
            ["Apache License\n", "Version 2.0, January 2004", "END OF TERMS AND CONDITIONS", "APPENDIX: How to apply"]
        {
            assert!(licence.contains(part), "{part}");
        }
    }
}
