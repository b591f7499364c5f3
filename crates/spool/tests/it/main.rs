//! The spool after the death of another process.

#[cfg(test)]
mod kill;
