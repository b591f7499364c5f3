//! Every LLM endpoint, through a server with the mock provider.

mod asks;
mod coded;
mod cuts;
mod damaged;
mod figures;
mod gemini;
mod lists;
mod passing;
mod refused;
mod unserved;
