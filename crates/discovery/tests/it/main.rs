//! Tests of the job against an issuer on this machine.

#[cfg(test)]
mod issuer;
#[cfg(test)]
mod issuer_keys;
#[cfg(test)]
mod private_tls;
