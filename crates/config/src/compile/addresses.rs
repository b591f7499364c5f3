//! Compiles `routes[].addresses`.

use crate::schema::traffic::AddressesInput;
use crate::snapshot::AddressRules;
use ipnet::IpNet;
use settings::field::ValueList;
use settings::section::SettingsReader;

/// Returns the address rules of a route; `None` if the section has no network.
pub(super) fn addresses(reader: &SettingsReader<'_>, input: &AddressesInput) -> Option<Box<AddressRules>> {
    let location = &input.location;
    if !location.has("allow") && !location.has("deny") {
        location.missing(reader, &["allow", "deny"]);
        return None;
    }
    Some(Box::new(AddressRules { allow: networks(&input.allow), deny: networks(&input.deny) }))
}

/// Returns the networks of a list, in which a preset is several.
fn networks(list: &ValueList<Vec<IpNet>>) -> Box<[IpNet]> {
    list.list.iter().flat_map(|entry| entry.value.iter().copied()).collect()
}
