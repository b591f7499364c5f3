//! Compiles `routes[].addresses`.

use ipnet::IpNet;

use crate::schema::field::Values;
use crate::schema::traffic::AddressesInput;
use crate::section::Reader;
use crate::snapshot::AddressRules;

/// Returns the address rules of a route; `None` if the section has no network.
pub(super) fn addresses(reader: &Reader<'_>, input: &AddressesInput) -> Option<Box<AddressRules>> {
    let location = &input.location;
    if !location.has("allow") && !location.has("deny") {
        location.missing(reader, &["allow", "deny"]);
        return None;
    }
    Some(Box::new(AddressRules { allow: networks(&input.allow), deny: networks(&input.deny) }))
}

/// Returns the networks of a list, in which a preset is several.
fn networks(list: &Values<Vec<IpNet>>) -> Box<[IpNet]> {
    list.list.iter().flat_map(|entry| entry.value.iter().copied()).collect()
}
