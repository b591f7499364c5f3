//! Tests of the export with a real spool and with targets on this machine.

#[cfg(test)]
mod certificates;
#[cfg(test)]
mod clickhouse;
#[cfg(test)]
mod files;
#[cfg(test)]
mod nats;
#[cfg(test)]
mod over_tls;
#[cfg(test)]
mod spooled;
