//! Lists upstreams and routes.

use std::sync::Arc;

use super::{SettingsListing, Value};
use crate::snapshot::{Auth, Events, PathMatch, Route, Upstream};

impl SettingsListing<'_> {
    pub(super) fn upstreams(&mut self, upstreams: &[Arc<Upstream>]) {
        for (nth, upstream) in upstreams.iter().enumerate() {
            let Upstream { name, origin } = &**upstream;
            self.put(format!("upstreams[{nth}].name"), Value::text(name));
            self.put(format!("upstreams[{nth}].backends[0].url"), Value::text(origin));
            self.put(format!("upstreams[{nth}].backends[0].weight"), Value::Number(1));
        }
        self.empty("upstreams", upstreams.is_empty());
    }

    pub(super) fn routes(&mut self, routes: &[Arc<Route>]) {
        for (nth, route) in routes.iter().enumerate() {
            let Route { name, path, methods, upstream, auth, credits, events, allow_headers } = &**route;
            self.put(format!("routes[{nth}].name"), Value::text(name));
            match path {
                PathMatch::Exact(path) => self.put(format!("routes[{nth}].path"), Value::text(path)),
                PathMatch::Prefix(path) => {
                    let path = if path.is_empty() { "/" } else { path };
                    self.put(format!("routes[{nth}].path.prefix"), Value::text(path));
                }
            }
            for (method_nth, method) in methods.iter().enumerate() {
                self.put(format!("routes[{nth}].methods[{method_nth}]"), Value::text(method));
            }
            self.empty(&format!("routes[{nth}].methods"), methods.is_empty());
            self.put(format!("routes[{nth}].upstreams"), Value::text(&upstream.name));
            let auth = match auth {
                Auth::Key => "key",
                Auth::None => "none",
            };
            self.put(format!("routes[{nth}].auth.type"), Value::text(auth));
            self.put(format!("routes[{nth}].credits"), Value::Number(credits.0.into()));
            let events = match events {
                Events::Rows => "rows",
                Events::Folded => "folded",
            };
            self.put(format!("routes[{nth}].events"), Value::text(events));
            for (header_nth, header) in allow_headers.iter().enumerate() {
                self.put(format!("routes[{nth}].allow_headers[{header_nth}]"), Value::text(header));
            }
            self.empty(&format!("routes[{nth}].allow_headers"), allow_headers.is_empty());
        }
        self.empty("routes", routes.is_empty());
    }
}
