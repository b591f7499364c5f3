//! Opening the database: its folder, options, migrations, and the servers that use it.

pub(crate) mod data_folder;
pub mod handle;
pub mod migration;
pub mod options;
pub mod running_servers;
