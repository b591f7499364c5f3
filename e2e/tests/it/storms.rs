//! Servers that are killed, cut off, and run out of disk and power under load. They take the whole machine, so `make test` runs
//! them by themselves: beside them a client's half second is over before anybody has read what it sent.

mod dice;
mod fleet;
mod full;
mod midnight;
mod nth;
mod power;
mod rounds;
mod tally;
mod torn;
