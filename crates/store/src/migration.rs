//! Bringing the tables up to date, in sqlx's own layout: `migrations/DATABASE/NNNN_name.{up,down}.sql`.

use sqlx::migrate::{Migrate, Migrator};

use crate::dialect::Pool;
use crate::error::StoreError;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// Runs what is missing; a database that is newer than this binary is left alone.
pub(crate) async fn bring_up_to_date(writer: &Pool, migrate: bool) -> Result<(), StoreError> {
    let known = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    let found = version(writer).await?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if migrate {
        MIGRATOR.run(writer).await?;
    } else if found < known {
        return Err(StoreError::Older { found, known });
    }
    Ok(())
}

/// The newest migration that was applied; 0 for none.
async fn version(writer: &Pool) -> Result<i64, StoreError> {
    let mut connection = writer.acquire().await?;
    connection.ensure_migrations_table(&MIGRATOR.table_name).await?;
    let applied = connection.list_applied_migrations(&MIGRATOR.table_name).await?;
    Ok(applied.iter().map(|migration| migration.version).max().unwrap_or(0))
}

#[cfg(test)]
mod tests;
