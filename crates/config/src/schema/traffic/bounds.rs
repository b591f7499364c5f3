//! The keys of `routes[].addresses` and `routes[].sizes`.

use crate::schema::network::NETWORK;
use ipnet::IpNet;
use settings::field::{ValueList, list, optional};
use settings::form::SizeForm;
use settings::input::Input;
use settings::section;
use settings::spec::Rule;

section! {
    AddressesInput {
        /// The networks whose clients may use the route.
        allow: ValueList<Vec<IpNet>> = list(NETWORK, 256, "all").not_empty("at least one network");
        /// The networks whose clients may not, even within `allow`.
        deny: ValueList<Vec<IpNet>> = list(NETWORK, 256, "none").not_empty("at least one network");
        rules: Rule::RequiredUnless("allow", &["deny"]);
    }
}

section! {
    RouteSizesInput {
        /// Maximum body of a request to an upstream.
        body: Option<Input<u64>> = optional(SizeForm::POSITIVE, "as [`sizes`](#sizes)");
    }
}
