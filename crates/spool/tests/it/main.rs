//! The spool as another process leaves it.

#[cfg(test)]
mod kill;
