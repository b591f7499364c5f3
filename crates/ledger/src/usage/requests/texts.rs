//! The SQL texts of the list of requests, for tests of their plans.

use meter::RequestResult;

use super::{RequestFilter, RequestKind, counted, of_model, page, stop};
use crate::usage::scope::UsageOf;

/// Returns the SQL texts that this module builds.
pub(in crate::usage) fn texts() -> Vec<String> {
    let all = RequestFilter {
        status: Some((400, 499)),
        result: Some(RequestResult::Failed),
        kind: Some(RequestKind::Route),
        text: Some(String::new()),
        ..RequestFilter::default()
    };
    let llm = RequestFilter { kind: Some(RequestKind::Llm), ..RequestFilter::default() };
    let refused = RequestFilter { result: Some(RequestResult::Refused), ..RequestFilter::default() };
    let indexed = refused.indexed();
    let filters = [
        (RequestFilter::default(), ""),
        (llm, ""),
        (refused, ""),
        (all, " AND route_no IN (0, 1) AND label_set_no IN (-2, 1)"),
    ];
    let pages =
        |of| filters.iter().flat_map(move |(filter, only)| [page(of, filter, only), counted::page(of, filter, only)]);
    let of = |of| {
        let model = of_model(of, Some(1));
        let stops = [stop(of, ""), stop(of, indexed), stop(of, &model), counted::stop(of).to_owned()];
        pages(of).chain(stops).collect::<Vec<_>>()
    };
    UsageOf::KINDS.into_iter().flat_map(of).collect()
}

/// Returns the statements of this module.
pub(in crate::usage) fn statements() -> Vec<(&'static str, &'static str)> {
    [super::STATEMENTS, counted::STATEMENTS].concat()
}
