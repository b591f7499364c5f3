//! Copies of one SQLite file with all tables. A copy takes a part of the time of the migrations, which their own tests run.

use std::io::Write;
use std::path::Path;

use access::Clock;
use store::{Options, Store};
use tokio::sync::OnceCell;

/// The database of a data folder.
const FILE: &str = "tollgate.db";

/// Puts a copy into a data folder that has no database. The folder must exist.
pub(crate) async fn copy_into(folder: &Path) {
    static MIGRATED: OnceCell<Vec<u8>> = OnceCell::const_new();
    let file = folder.join(FILE);
    if file.exists() {
        return;
    }
    let bytes = MIGRATED.get_or_init(migrated).await;
    // Only its owner can access it, as every database that the store creates.
    let mut draft = tempfile::NamedTempFile::new_in(folder).unwrap();
    draft.write_all(bytes).unwrap();
    // Fails if a copy was put there meanwhile.
    let _ = draft.persist_noclobber(file);
}

/// Migrates a database, once for all tests of this process.
async fn migrated() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { url: None, data: folder.path(), migrate: true, clock: Clock::system() };
    Store::open(options).await.unwrap().close().await;
    assert!(!folder.path().join("tollgate.db-wal").exists(), "a part of the database is in its log");
    std::fs::read(folder.path().join(FILE)).unwrap()
}
