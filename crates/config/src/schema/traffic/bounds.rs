//! The keys of `routes[].addresses` and `routes[].sizes`.

use ipnet::IpNet;

use super::super::field::{Values, list, optional};
use super::super::form::SizeForm;
use super::super::section;
use super::forms::NETWORK;
use crate::input::Input;
use crate::spec::Rule;

section! {
    AddressesInput {
        /// The networks whose clients may use the route.
        allow: Values<Vec<IpNet>> = list(NETWORK, 256, "all").not_empty("at least one network");
        /// The networks whose clients may not, even within `allow`.
        deny: Values<Vec<IpNet>> = list(NETWORK, 256, "none").not_empty("at least one network");
        rules: Rule::RequiredUnless("allow", &["deny"]);
    }
}

section! {
    RouteSizesInput {
        /// Maximum body of a request to an upstream.
        body: Option<Input<u64>> = optional(SizeForm::POSITIVE, "as [`sizes`](#sizes)");
    }
}
