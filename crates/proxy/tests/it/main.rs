//! The data plane in-process, between real sockets.

#[cfg(test)]
mod account_objects;
#[cfg(test)]
mod address;
mod alternatives;
mod balancing;
mod basic;
#[cfg(test)]
mod buffered;
#[cfg(test)]
mod cached_claims;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod client_certificates;
#[cfg(test)]
mod client_http2;
#[cfg(test)]
mod closed_streams;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod failing_backends;
mod failing_http2;
#[cfg(test)]
mod fallback;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod hostile_http1;
#[cfg(test)]
mod hostile_http2;
#[cfg(test)]
mod hostile_responses;
#[cfg(test)]
mod http1;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod interim;
mod leaving;
#[cfg(test)]
mod listener_tls;
#[cfg(test)]
mod model_lists;
#[cfg(test)]
mod model_names;
#[cfg(test)]
mod neighbours;
#[cfg(test)]
mod origin;
#[cfg(test)]
mod passed_errors;
#[cfg(test)]
mod plan_models;
#[cfg(test)]
mod provider_addresses;
#[cfg(test)]
mod provider_kinds;
#[cfg(test)]
mod proxy_protocol;
#[cfg(test)]
mod rate_limits;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod redis_keys;
#[cfg(test)]
mod references;
#[cfg(test)]
mod refused_limits;
#[cfg(test)]
mod repeats;
#[cfg(test)]
mod reported_costs;
#[cfg(test)]
mod request_parts;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod scope;
#[cfg(test)]
mod server;
#[cfg(test)]
mod services;
#[cfg(test)]
mod start_page;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod subject_quotas;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod token_counts;
#[cfg(test)]
mod token_limits;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod trailers;
#[cfg(test)]
mod trusted_fields;
#[cfg(test)]
mod tunnels;
#[cfg(test)]
mod unauthenticated;
#[cfg(test)]
mod upstream;
#[cfg(test)]
mod upstream_tls;
#[cfg(test)]
mod vertex;
#[cfg(test)]
mod wire;
