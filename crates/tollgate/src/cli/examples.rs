//! Arguments of `tollgate examples`.

use std::path::PathBuf;

use clap::Args;

pub(super) const EXAMPLES_EXAMPLES: &str = "Examples:
  # List the examples
  tollgate examples
  # Write one to examples/cache
  tollgate examples cache
  tollgate examples cache --to ./try

An example is a folder with a configuration and a README. The commands of the README run in the folder that contains \
`examples`. No file is overwritten.";

#[derive(Debug, Args)]
pub(crate) struct Examples {
    /// Name of the example to write; without it, all are listed
    pub(crate) name: Option<String>,
    /// Folder of the files [default: examples/NAME]
    #[arg(long, value_name = "DIR", requires = "name")]
    pub(crate) to: Option<PathBuf>,
}
