//! Tests of the job against an issuer on this machine.

mod issuer;
mod issuer_keys;
